import type { Db, Tx } from '../../database/schema.ts'

/** How long a change of address waits for the proof, as long as the link in the mail works. */
const waitsMs = 86_400_000

/** Notes the new address that a person wants for their account, in place of an earlier one. */
export async function request(tx: Tx, accountId: string, email: string): Promise<void> {
  const now = new Date()
  const values = { email: email.trim(), requested_at: now, expires_at: new Date(now.getTime() + waitsMs) }
  await tx
    .insertInto('address_changes')
    .values({ account_id: accountId, ...values })
    .onConflict((conflict) => conflict.column('account_id').doUpdateSet(values))
    .execute()
}

/** Returns the new address that waits for its proof. */
export async function find(db: Db, accountId: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('address_changes')
    .select('email')
    .where('account_id', '=', accountId)
    .where('expires_at', '>', new Date())
    .executeTakeFirst()
  return row?.email
}

/** Ends a change of address that waits. */
export async function end(tx: Tx, accountId: string): Promise<void> {
  await tx.deleteFrom('address_changes').where('account_id', '=', accountId).execute()
}
