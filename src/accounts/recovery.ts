import * as accounts from '../stores/people/accounts.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import type { AccountTx } from './acting.ts'
import * as password from './password.ts'

/** The purposes of links that let somebody choose a password without knowing the old one. */
export const passwordPurposes = ['password-reset', 'invitation'] as const satisfies confirmations.Purpose[]

/**
 * Sets the password that a person chose by a link, which proves their address as well. `'gone'` if the link was
 * used, has expired, or its account has changed.
 */
export async function resetPassword(
  context: AccountTx,
  token: string,
  { hash, signsOut }: { hash: string; signsOut: boolean },
): Promise<confirmations.Confirmation | 'gone'> {
  const { tx, envelope } = context
  const redeemed = await confirmations.redeem(tx, envelope, { token }, { purposes: passwordPurposes })
  if (!redeemed?.accountId) return 'gone'
  const { accountId, purpose } = redeemed
  await verifyAddress(context, accountId)
  const origin = purpose === 'invitation' ? 'invitation' : 'reset'
  await password.choose(context, accountId, { hash, origin, signsOut })
  return redeemed
}

/**
 * Redeems the right code, or the link beside it, for a sign-in in the browser that asked for it. `'gone'` if it was
 * used, has expired, or its account has changed.
 */
export async function signInByMail(
  context: AccountTx,
  presented: confirmations.Presented,
  browserHash: Buffer,
): Promise<accounts.Account | 'gone'> {
  const { tx, envelope, record } = context
  const redeemed = await confirmations.redeem(tx, envelope, presented, { purposes: ['sign-in'], browserHash })
  if (!redeemed?.accountId) return 'gone'
  const account = await verifyAddress(context, redeemed.accountId)
  if (!account) return 'gone'
  record({ type: 'sign_in.succeeded', accountId: account.id, details: { method: 'mail' } })
  return account
}

/** Marks the address of an account as proven, if it is not yet, and returns the account. */
async function verifyAddress({ tx, record }: AccountTx, accountId: string): Promise<accounts.Account | undefined> {
  const account = await accounts.lock(tx, accountId)
  if (!account || account.emailVerified) return account
  await accounts.update(tx, accountId, { emailVerified: true })
  record({ type: 'account.email_verified', accountId })
  return { ...account, emailVerified: true }
}
