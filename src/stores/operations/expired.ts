import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Db } from '../../database/schema.ts'
import { models } from '../protocol/models.ts'

const day = 86_400

// How long a row is kept after it expired: long enough that no clock, and no lifetime derived from it, still needs it.
const keptSeconds = {
  replays: 0,
  throttles: 0,
  idempotency_keys: 0,
  refused_requests: 0,
  sessions: 300, // an expired one is not found; this is for clocks that differ
  artifacts: Object.fromEntries(Object.entries(models).map(([model, { keptSeconds }]) => [model, keptSeconds])),
  audit_events: day, // the trigger that refuses to delete others compares with the clock of the database
  grants: 7 * day, // last: artifacts go with them
} as const

type Table = keyof typeof keptSeconds

/** Tables whose rows expire, in the order they are swept. */
export const tables = Object.keys(keptSeconds) as Table[]

/** Tables whose rows are kept until someone deletes them. */
export const keptTables = [
  'accounts',
  'password_credentials',
  'clients',
  'client_logos',
  'registration_policies',
  'registration_tokens',
  'resource_servers',
  'keys',
  'encryption_keys',
] as const

/**
 * Deletes up to `limit` expired rows, leaving alone those in use. Returns how many went: none if another process is
 * deleting at this moment. One at a time is enough, and two would only wait for the same pages.
 */
export async function deleteBatch(db: Db, table: Table, limit: number): Promise<number> {
  const isOurTurn = sql`(select pg_try_advisory_xact_lock(hashtextextended('postern sweep', 0)))`
  const { numAffectedRows } = await sql`
    delete from ${sql.table(table)} where ctid = any(array(
      select ctid from ${sql.table(table)} where ${isPast(table)} and ${isOurTurn}
      limit ${limit} for update skip locked))`.execute(db)
  return Number(numAffectedRows ?? 0)
}

function isPast(table: Table): RawBuilder<SqlBool> {
  const kept = keptSeconds[table]
  if (typeof kept === 'number') return sql<SqlBool>`expires_at < ${secondsAgo(kept)}`
  // The first condition is the one that the index is good for.
  const rules = Object.entries(kept).map(
    ([model, seconds]) => sql<SqlBool>`(model = ${model} and expires_at < ${secondsAgo(seconds)})`,
  )
  return sql<SqlBool>`expires_at < ${secondsAgo(Math.min(...Object.values(kept)))} and (${sql.join(rules, sql` or `)})`
}

const secondsAgo = (seconds: number) => new Date(Date.now() - seconds * 1000)
