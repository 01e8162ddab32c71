import { sql } from 'kysely'
import type { Db } from '../database/schema.ts'

// How long a row is kept after it expired: long enough that no clock, and no lifetime derived from it, still needs it.
const keptSeconds = {
  replays: 0,
  throttles: 0,
  idempotency_keys: 0,
  sessions: 86_400,
  artifacts: 86_400,
  grants: 7 * 86_400, // last: artifacts go with them
} as const

/** Tables whose rows expire, in the order they are swept. */
export const tables = Object.keys(keptSeconds) as (keyof typeof keptSeconds)[]

/** Tables whose rows are kept until someone deletes them. */
export const keptTables = [
  'accounts',
  'password_credentials',
  'clients',
  'registration_policies',
  'registration_tokens',
  'resource_servers',
  'keys',
  'encryption_keys',
  'audit_events',
] as const

/** Deletes up to `limit` expired rows, leaving alone those another process is at. Returns how many went. */
export async function deleteBatch(db: Db, table: keyof typeof keptSeconds, limit: number): Promise<number> {
  const before = new Date(Date.now() - keptSeconds[table] * 1000)
  const { numAffectedRows } = await sql`
    delete from ${sql.table(table)} where ctid = any(array(
      select ctid from ${sql.table(table)} where expires_at < ${before} limit ${limit} for update skip locked))`.execute(
    db,
  )
  return Number(numAffectedRows ?? 0)
}
