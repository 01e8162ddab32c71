import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Tx } from '../../database/schema.ts'

// A trigger refuses every other change, and these where the transaction does not say what it is about to do.

const leewaySeconds = 60 // the trigger compares with the clock of the database

/**
 * Deletes up to `limit` events that are older than they are kept. Returns how many went: none if another process is at it.
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
 * Has the events of an account that is gone say no longer who it was and from where: they are of a name that is made up,
 * the same for all of them.
 *
 * @returns that name, and of how many events it is.
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
