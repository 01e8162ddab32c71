import * as accounts from '../stores/people/accounts.ts'
import * as addressChanges from '../stores/people/address-changes.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import * as passkeys from '../stores/people/passkeys.ts'
import type { AccountTx } from './acting.ts'
import * as identities from './identities.ts'
import { removeAll } from './passkeys.ts'
import * as password from './password.ts'
import * as secondFactors from './second-factors.ts'

/** The purposes of links that let somebody choose a password without knowing the old one. */
export const passwordPurposes = ['password-reset', 'invitation'] as const satisfies confirmations.Purpose[]

/**
 * Sets the password that a person chose by a link, which proves their address as well. The first proof signs out
 * everywhere: until then, somebody else may have used the account. `'gone'` if the link was used, has expired, or its
 * account has changed.
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
  const { isFirstProof } = (await verifyAddress(context, accountId)) ?? { isFirstProof: false }
  const origin = purpose === 'invitation' ? 'invitation' : 'reset'
  await password.choose(context, accountId, { hash, origin, signsOut: signsOut || isFirstProof })
  return redeemed
}

/**
 * Redeems the right code, or the link beside it, for a sign-in in the browser that asked for it. The first proof of an
 * address takes the account out of the hands of anybody who had it before. `'gone'` if the code was used, has expired, or
 * its account has changed.
 *
 * @param options.keptSessionUid - The session of that browser, which is the person's own.
 */
export async function signInByMail(
  context: AccountTx,
  presented: confirmations.Presented,
  { browserHash, keptSessionUid }: { browserHash: Buffer; keptSessionUid?: string | undefined },
): Promise<accounts.Account | 'gone'> {
  const { tx, envelope, record } = context
  const redeemed = await confirmations.redeem(tx, envelope, presented, { purposes: ['sign-in'], browserHash })
  if (!redeemed?.accountId) return 'gone'
  const { accountId } = redeemed
  const verified = await verifyAddress(context, accountId)
  if (!verified) return 'gone'
  record({ type: 'sign_in.succeeded', accountId, details: { method: 'mail' } })
  return verified.isFirstProof ? takeOver(context, verified.account, keptSessionUid) : verified.account
}

/**
 * Removes every way into an account whose address is proven for the first time, or belongs to the directory, and ends every
 * sign-in that rests on them: somebody who had no right to the address may have set them, and waited for its owner to use the
 * account.
 */
export async function takeOver(
  context: AccountTx,
  account: accounts.Account,
  keptSessionUid: string | undefined,
): Promise<accounts.Account | 'gone'> {
  const { tx, record, mail } = context
  const { id, email } = account
  const hadPassword = await accounts.removePassword(tx, id)
  if (keptSessionUid === undefined) await accounts.signOutEverywhere(tx, id)
  else await accounts.signOutElsewhere(tx, id, keptSessionUid)
  await removeAll(context, account)
  await secondFactors.removeAll(context, id)
  await addressChanges.end(tx, id)
  await confirmations.revoke(tx, id, [...passwordPurposes, 'sign-in', 'email-change'])
  if (hadPassword) {
    record({ type: 'account.password_removed', accountId: id })
    mail({ kind: 'password-removed', to: email, accountId: id, at: new Date().toISOString() })
  }
  return (await accounts.findById(tx, id)) ?? 'gone'
}

/**
 * Notes that somebody proved the address of an account by other means than a mail, which takes the account out of the hands
 * of anybody who had it before. `'gone'` if it was deleted or disabled.
 *
 * @param keptSessionUid - The session of that browser, which is the person's own.
 */
export async function proveAddress(
  context: AccountTx,
  accountId: string,
  keptSessionUid: string | undefined,
): Promise<accounts.Account | 'gone'> {
  const verified = await verifyAddress(context, accountId)
  if (!verified || verified.account.isDisabled) return 'gone'
  return verified.isFirstProof ? takeOver(context, verified.account, keptSessionUid) : verified.account
}

/** Marks the address of an account as proven, and returns the account and whether this was the first proof. */
async function verifyAddress(
  context: AccountTx,
  accountId: string,
): Promise<{ account: accounts.Account; isFirstProof: boolean } | undefined> {
  const { tx, record } = context
  const account = await accounts.lock(tx, accountId)
  if (!account || account.emailVerified) return account && { account, isFirstProof: false }
  await accounts.update(tx, accountId, { emailVerified: true })
  await passkeys.removeAll(tx, accountId) // somebody else may have added them
  await secondFactors.removeAll(context, accountId)
  await identities.removeAll(context, account)
  record({ type: 'account.email_verified', accountId })
  return { account: { ...account, emailVerified: true }, isFirstProof: true }
}
