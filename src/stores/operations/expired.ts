import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Db } from '../../database/schema.ts'
import { models } from '../protocol/models.ts'

const day = 86_400

// The time that a row is kept after it expired: long enough that no clock, and no lifetime derived from it, needs it.
const keptSeconds = {
  replays: 0,
  throttles: 0,
  idempotency_keys: 0,
  refused_requests: 0,
  confirmations: day, // until then, the page of a link says that it expired
  challenges: 0,
  remembered_devices: 0,
  address_changes: 0,
  upstream_requests: 0,
  outbox: 0, // an expired letter is not sent
  sessions: 300, // for clocks that differ; an expired session is not found
  artifacts: Object.fromEntries(Object.entries(models).map(([model, { keptSeconds }]) => [model, keptSeconds])),
  audit_events: day, // the trigger that protects all other events uses the clock of the database
  grants: 7 * day, // last, because their artifacts are deleted with them
} as const

type Table = keyof typeof keptSeconds

/** Tables whose rows expire, in the order they are swept. */
export const tables = Object.keys(keptSeconds) as Table[]

/** Tables whose rows never expire. */
export const keptTables = [
  'accounts',
  'password_credentials',
  'directory_accounts',
  'passkeys',
  'totp_secrets',
  'recovery_codes',
  'clients',
  'client_logos',
  'registration_policies',
  'registration_tokens',
  'upstream_providers',
  'identities',
  'resource_servers',
  'keys',
  'encryption_keys',
] as const

/**
 * Deletes up to `limit` expired rows, except locked ones. Returns how many it deleted: none while another process is
 * deleting. One process at a time is enough, and two would only wait for the same pages.
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
  // The index serves the first condition.
  const rules = Object.entries(kept).map(
    ([model, seconds]) => sql<SqlBool>`(model = ${model} and expires_at < ${secondsAgo(seconds)})`,
  )
  return sql<SqlBool>`expires_at < ${secondsAgo(Math.min(...Object.values(kept)))} and (${sql.join(rules, sql` or `)})`
}

const secondsAgo = (seconds: number) => new Date(Date.now() - seconds * 1000)
