import type { Db, Tx } from '../../database/schema.ts'

/** A key-encryption key that something may be sealed with: its id, and since when it is known. Never the key. */
export type EncryptionKey = { id: string; createdAt: Date }

/** Those there are, oldest first. */
export async function list(db: Db): Promise<EncryptionKey[]> {
  const rows = await db
    .selectFrom('encryption_keys')
    .select(['id', 'created_at'])
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(({ id, created_at }) => ({ id, createdAt: created_at }))
}

/** Notes keys that something is going to be sealed with. Those that are known stay as they are. */
export async function add(db: Db, ids: readonly string[]): Promise<void> {
  const now = new Date()
  await db
    .insertInto('encryption_keys')
    .values(ids.map((id) => ({ id, created_at: now })))
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
}

/** Strikes out keys that nothing is sealed with any more. */
export async function remove(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await tx.deleteFrom('encryption_keys').where('id', 'in', ids).execute()
}
