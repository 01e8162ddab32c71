import type { Db, Tx } from '../../database/schema.ts'

/** A browser where a person gave a second factor, which it does not ask for again for some days. */
export type RememberedDevice = { createdAt: Date; expiresAt: Date; userAgent: string | undefined }

/** Remembers a browser for an account, until the sign-ins of the account are ended or the time is over. */
export async function remember(
  tx: Tx,
  device: { idHash: Buffer; accountId: string; epoch: number; userAgent: string | undefined; expiresAt: Date },
): Promise<void> {
  await tx
    .insertInto('remembered_devices')
    .values({
      id_hash: device.idHash,
      account_id: device.accountId,
      account_epoch: device.epoch,
      user_agent: device.userAgent ?? null,
      created_at: new Date(),
      expires_at: device.expiresAt,
    })
    .onConflict((conflict) =>
      conflict.column('id_hash').doUpdateSet({
        account_epoch: device.epoch,
        created_at: new Date(),
        expires_at: device.expiresAt,
      }),
    )
    .execute()
}

/** Finds a browser that is remembered for an account whose sign-ins were not ended since. */
export async function find(
  db: Db,
  { idHash, accountId, epoch }: { idHash: Buffer; accountId: string; epoch: number },
): Promise<RememberedDevice | undefined> {
  const row = await db
    .selectFrom('remembered_devices')
    .select(['created_at', 'expires_at', 'user_agent'])
    .where('id_hash', '=', idHash)
    .where('account_id', '=', accountId)
    .where('account_epoch', '=', epoch)
    .where('expires_at', '>', new Date())
    .executeTakeFirst()
  return row && { createdAt: row.created_at, expiresAt: row.expires_at, userAgent: row.user_agent ?? undefined }
}

/** Forgets every browser that is remembered for an account, as when one of its factors changes. */
export async function forgetAll(tx: Tx, accountId: string): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('remembered_devices')
    .where('account_id', '=', accountId)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** Counts the browsers that are remembered for an account. */
export async function count(db: Db, { accountId, epoch }: { accountId: string; epoch: number }): Promise<number> {
  const { n } = await db
    .selectFrom('remembered_devices')
    .select((select) => select.fn.countAll<string>().as('n'))
    .where('account_id', '=', accountId)
    .where('account_epoch', '=', epoch)
    .where('expires_at', '>', new Date())
    .executeTakeFirstOrThrow()
  return Number(n)
}
