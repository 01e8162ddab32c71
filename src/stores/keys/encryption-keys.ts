import type { Db, Tx } from '../../database/schema.ts'

/** A key-encryption key that values may be sealed with: its id and when it was noted, but never the key. */
export type EncryptionKey = { id: string; createdAt: Date }

/** Lists the noted keys, oldest first. */
export async function list(db: Db): Promise<EncryptionKey[]> {
  const rows = await db
    .selectFrom('encryption_keys')
    .select(['id', 'created_at'])
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(({ id, created_at }) => ({ id, createdAt: created_at }))
}

/** Notes keys before values are sealed with them. Keys that were noted before stay as they are. */
export async function add(db: Db, ids: readonly string[]): Promise<void> {
  const now = new Date()
  await db
    .insertInto('encryption_keys')
    .values(ids.map((id) => ({ id, created_at: now })))
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
}

/** Removes keys that no value is sealed with. */
export async function remove(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await tx.deleteFrom('encryption_keys').where('id', 'in', ids).execute()
}
