import type { Envelope } from '../../crypto/envelope.ts'
import type { Db, Tx } from '../../database/schema.ts'

/** The identity that the secret of an account is sealed for. */
export const identity = (accountId: string): string => `totp_secrets:${accountId}`

export type TotpSecret = { secret: Buffer; isConfirmed: boolean }

/** Stores a secret that is not confirmed yet, in place of another unconfirmed one. Returns `false` if one is confirmed. */
export async function begin(tx: Tx, envelope: Envelope, accountId: string, secret: Buffer): Promise<boolean> {
  const created = {
    secret_sealed: envelope.seal(secret.toString('base64url'), identity(accountId)),
    last_step: 0,
    created_at: new Date(),
  }
  const { numInsertedOrUpdatedRows = 0n } = await tx
    .insertInto('totp_secrets')
    .values({ account_id: accountId, ...created })
    .onConflict((conflict) =>
      conflict.column('account_id').doUpdateSet(created).where('totp_secrets.confirmed_at', 'is', null),
    )
    .executeTakeFirst()
  return numInsertedOrUpdatedRows > 0n
}

/** Finds the secret of an account. */
export async function find(db: Db, envelope: Envelope, accountId: string): Promise<TotpSecret | undefined> {
  const row = await db
    .selectFrom('totp_secrets')
    .select(['secret_sealed', 'confirmed_at'])
    .where('account_id', '=', accountId)
    .executeTakeFirst()
  return (
    row && {
      secret: Buffer.from(envelope.open(row.secret_sealed, identity(accountId)), 'base64url'),
      isConfirmed: row.confirmed_at !== null,
    }
  )
}

/**
 * Accepts a time step, once: of several processes that present a code of the same step, or of an earlier one, the first
 * succeeds. The first step that is accepted confirms the secret.
 */
export async function accept(
  tx: Tx,
  accountId: string,
  { step, isFirst }: { step: number; isFirst: boolean },
): Promise<boolean> {
  const now = new Date()
  const { numUpdatedRows } = await tx
    .updateTable('totp_secrets')
    .set({ last_step: step, last_used_at: now, ...(isFirst && { confirmed_at: now }) })
    .where('account_id', '=', accountId)
    .where('last_step', '<', String(step))
    .where('confirmed_at', isFirst ? 'is' : 'is not', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Removes the secret of an account. Returns `false` if it had none that counted. */
export async function remove(tx: Tx, accountId: string): Promise<boolean> {
  const removed = await tx
    .deleteFrom('totp_secrets')
    .where('account_id', '=', accountId)
    .returning('confirmed_at')
    .executeTakeFirst()
  return removed !== undefined && removed.confirmed_at !== null
}
