import { CompiledQuery, sql } from 'kysely'
import type { Db, Tx } from '../../database/schema.ts'
import { modelsWith } from '../protocol/models.ts'
import { announce } from './changes.ts'
import type { Origin } from './clients.ts'

/**
 * Notes that clients were used. The `proven` ones are then kept, even if they were to be removed unless used. No
 * process is notified.
 */
export async function noteUse(
  db: Db,
  { ids, proven, usedAt }: { ids: string[]; proven: string[]; usedAt: Date },
): Promise<void> {
  await db
    .updateTable('clients')
    .set({
      last_used_at: usedAt,
      unused_expires_at: sql`case when id = any(${proven}) then null else unused_expires_at end`,
    })
    // Locked in one order, so that two processes that note the same clients cannot deadlock.
    .where('id', 'in', (clients) =>
      clients
        .selectFrom('clients')
        .select('id')
        .where('id', '=', sql<string>`any(${ids})`)
        .where('deleted_at', 'is', null)
        .orderBy('id')
        .forNoKeyUpdate(),
    )
    .execute()
}

export type EndedClient = {
  id: string
  /** `expired` when its lifetime is over, `unused` when it was not used in time. */
  reason: 'expired' | 'unused'
  /** Whether it registered itself under a random id and was never used: nobody then knows the id. */
  isJunk: boolean
}

// A grant or token is stored before anybody receives it, and the use of the client is noted later. Stored rows
// therefore count as use, too. The limit makes the planner look up one client at a time; otherwise it would read the
// whole table.
const proofs = modelsWith(({ provesUse }) => provesUse)
  .map((model) => `'${model}'`)
  .join(', ')
const isUsed = `((select true from grants g where g.client_id = c.id limit 1) is not null
  or (select true from artifacts a where a.client_id = c.id and a.model = any(array[${proofs}]) limit 1) is not null)`
const isEnded = `c.deleted_at is null and (c.expires_at <= $1 or (c.unused_expires_at <= $1 and not ${isUsed}))`
const isJunk = `c.dynamic and not c.document and (c.last_used_at is null or c.unused_expires_at is not null) and not ${isUsed}
  and not exists (select 1 from resource_servers r where r.client_id = c.id)`

const selectEnded = `select c.id from clients c where ${isEnded} limit $2`
const lock = `select coalesce(c.expires_at <= $1, false) as is_expired, ${isJunk} as is_junk
  from clients c where ${isEnded} and c.id = $2 for update of c skip locked`

/** Finds the ids of clients whose lifetime is over, or that were not used in time. */
export async function findEnded(db: Db, limit: number): Promise<string[]> {
  const { rows } = await db.executeQuery<{ id: string }>(CompiledQuery.raw(selectEnded, [new Date(), limit]))
  return rows.map(({ id }) => id)
}

/** Locks a client that ended. `undefined` if it did not end after all, or another process has locked it. */
export async function lockEnded(tx: Tx, id: string): Promise<EndedClient | undefined> {
  type Row = { is_expired: boolean; is_junk: boolean }
  const { rows } = await tx.executeQuery<Row>(CompiledQuery.raw(lock, [new Date(), id]))
  const [row] = rows
  return row && { id, reason: row.is_expired ? 'expired' : 'unused', isJunk: row.is_junk }
}

/** Deletes a client that nobody used, without a trace. */
export async function erase(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('artifacts').where('client_id', '=', id).execute()
  await tx.deleteFrom('clients').where('id', '=', id).execute()
  await announce(tx, id)
}

/** Moves a client to another policy. The lifetimes of that policy begin now. */
export async function setPolicy(
  tx: Tx,
  id: string,
  { policy, expiresAt, unusedExpiresAt }: Pick<Origin, 'policy' | 'expiresAt' | 'unusedExpiresAt'>,
): Promise<void> {
  await tx
    .updateTable('clients')
    .set({
      policy,
      expires_at: expiresAt ?? null,
      unused_expires_at: sql`case when last_used_at is null then ${unusedExpiresAt ?? null}::timestamptz end`,
    })
    .where('id', '=', id)
    .execute()
}
