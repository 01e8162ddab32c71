import type { Db, Tx } from '../../database/schema.ts'

/** Stores the codes of an account in place of its earlier ones. */
export async function replace(tx: Tx, accountId: string, codeHashes: readonly Buffer[]): Promise<void> {
  await removeAll(tx, accountId)
  const rows = codeHashes.map((code_hash) => ({ code_hash, account_id: accountId, created_at: new Date() }))
  await tx.insertInto('recovery_codes').values(rows).execute()
}

/** Redeems a code of an account, once. */
export async function redeem(tx: Tx, accountId: string, codeHash: Buffer): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('recovery_codes')
    .set({ used_at: new Date() })
    .where('code_hash', '=', codeHash)
    .where('account_id', '=', accountId)
    .where('used_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Counts the codes of an account that are left. */
export async function countLeft(db: Db, accountId: string): Promise<number> {
  const { left } = await db
    .selectFrom('recovery_codes')
    .select((select) => select.fn.countAll<string>().as('left'))
    .where('account_id', '=', accountId)
    .where('used_at', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(left)
}

/** Removes all codes of an account. */
export async function removeAll(tx: Tx, accountId: string): Promise<void> {
  await tx.deleteFrom('recovery_codes').where('account_id', '=', accountId).execute()
}
