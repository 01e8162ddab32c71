import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Tx } from '../../database/schema.ts'

// A trigger rejects every change of the audit except these two, which a transaction must announce with a setting.

const leewaySeconds = 60 // the trigger uses the clock of the database

/**
 * Deletes up to `limit` events past their retention. Returns how many it deleted: none while another process is
 * deleting.
 */
export async function deleteOlder(tx: Tx, { seconds, limit }: { seconds: number; limit: number }): Promise<number> {
  await sql`select set_config('postern.audit_kept_seconds', ${String(seconds)}, true)`.execute(tx)
  const before = new Date(Date.now() - (seconds + leewaySeconds) * 1000)
  const { numAffectedRows } = await sql`
    delete from audit_events where id = any(array(
      select id from audit_events
      where occurred_at < ${before} and (select pg_try_advisory_xact_lock(hashtextextended('postern sweep', 0)))
      order by occurred_at limit ${limit}))`.execute(tx)
  return Number(numAffectedRows ?? 0)
}

/**
 * Removes the identity and the addresses of an erased account from its events. One random pseudonym replaces it in all
 * of them.
 *
 * @returns the pseudonym, and the number of events.
 */
export async function pseudonymise(tx: Tx, accountId: string): Promise<{ pseudonym: string; events: number }> {
  const pseudonym = `erased:${randomBytes(12).toString('base64url')}`
  await sql`select set_config('postern.erased_account', ${accountId}, true)`.execute(tx)
  const { numAffectedRows } = await sql`
    update audit_events set account_id = ${pseudonym}, address = null, request_id = null
    where account_id = ${accountId}`.execute(tx)
  await sql`select set_config('postern.erased_account', '', true)`.execute(tx)
  return { pseudonym, events: Number(numAffectedRows ?? 0) }
}
