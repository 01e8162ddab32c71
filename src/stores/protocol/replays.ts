import type { Db } from '../../database/schema.ts'

/**
 * Redeems a one-time identifier and says whether this call was the first to present it. It only inserts: exactly one of
 * any number of concurrent calls returns `true` (RFC 7523 §3 item 7, RFC 9449 §11.1).
 */
export async function redeem(db: Db, idHash: Buffer, expiresAt: Date): Promise<boolean> {
  const row = await db
    .insertInto('replays')
    .values({ id_hash: idHash, expires_at: expiresAt })
    .onConflict((conflict) => conflict.column('id_hash').doNothing())
    .returning('id_hash')
    .executeTakeFirst()
  return row !== undefined
}

/** Forgets an identifier, as if nobody had presented it. */
export async function release(db: Db, idHash: Buffer): Promise<void> {
  await db.deleteFrom('replays').where('id_hash', '=', idHash).execute()
}
