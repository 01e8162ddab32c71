import { sql } from 'kysely'
import type { Db, Tx } from '../../database/schema.ts'

/** The channel that notifies every process of a changed client; the payload is the client id. */
export const changedChannel = 'client_changed'

/** Lists the clients that changed since a moment, with the time of each change. */
export async function changedSince(db: Db, moment: Date): Promise<{ id: string; updatedAtMs: number }[]> {
  const rows = await db.selectFrom('clients').select(['id', 'updated_at']).where('updated_at', '>=', moment).execute()
  return rows.map(({ id, updated_at }) => ({ id, updatedAtMs: updated_at.getTime() }))
}

/** Notifies every process of a changed client, once the transaction is committed. */
export async function announce(tx: Tx, id: string): Promise<void> {
  await sql`select pg_notify(${changedChannel}, ${id})`.execute(tx)
}
