import type { Db, Tx } from '../../database/schema.ts'

/** Returns whether an account has a password, here or in the directory. */
export async function hasPassword(db: Db, id: string): Promise<boolean> {
  const [own, inDirectory] = await Promise.all(
    (['password_credentials', 'directory_accounts'] as const).map((table) =>
      db.selectFrom(table).select('account_id').where('account_id', '=', id).executeTakeFirst(),
    ),
  )
  return (own ?? inDirectory) !== undefined
}

/** Sets the password of an account. `mustChange` means that its owner has to choose another at the next sign-in. */
export async function setPasswordHash(
  tx: Tx,
  accountId: string,
  hash: string,
  { mustChange = false }: { mustChange?: boolean } = {},
): Promise<void> {
  const now = new Date()
  const values = { hash, change_required_at: mustChange ? now : null, updated_at: now }
  await tx
    .insertInto('password_credentials')
    .values({ account_id: accountId, ...values })
    .onConflict((conflict) => conflict.column('account_id').doUpdateSet(values))
    .execute()
}

/** Takes the password of an account away, so that nobody can sign in with it. `false` if it has none. */
export async function removePassword(tx: Tx, accountId: string): Promise<boolean> {
  const row = await tx
    .deleteFrom('password_credentials')
    .where('account_id', '=', accountId)
    .returning('account_id')
    .executeTakeFirst()
  return row !== undefined
}

/** Requires another password at the next sign-in of an account. `false` if the account has no password. */
export async function requirePasswordChange(tx: Tx, accountId: string): Promise<boolean> {
  const row = await tx
    .updateTable('password_credentials')
    .set({ change_required_at: new Date() })
    .where('account_id', '=', accountId)
    .returning('account_id')
    .executeTakeFirst()
  return row !== undefined
}

/**
 * Replaces the hash of a password with one of other parameters. `false` if another password was set in the meantime.
 */
export async function renewPasswordHash(
  db: Db,
  accountId: string,
  { from, to }: { from: string; to: string },
): Promise<boolean> {
  const row = await db
    .updateTable('password_credentials')
    .set({ hash: to, updated_at: new Date() })
    .where('account_id', '=', accountId)
    .where('hash', '=', from)
    .returning('account_id')
    .executeTakeFirst()
  return row !== undefined
}
