import { sql } from 'kysely'
import type { Db, Tx } from '../../database/schema.ts'

/** The channel on which every process hears that a client changed; the payload is the client id. */
export const changedChannel = 'client_changed'

/** The clients changed since a moment, and when each was. */
export async function changedSince(db: Db, moment: Date): Promise<{ id: string; updatedAtMs: number }[]> {
  const rows = await db.selectFrom('clients').select(['id', 'updated_at']).where('updated_at', '>=', moment).execute()
  return rows.map(({ id, updated_at }) => ({ id, updatedAtMs: updated_at.getTime() }))
}

/** Tells every process that a client is no longer as it was, once the transaction is committed. */
export async function announce(tx: Tx, id: string): Promise<void> {
  await sql`select pg_notify(${changedChannel}, ${id})`.execute(tx)
}
