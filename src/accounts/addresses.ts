import * as accounts from '../stores/people/accounts.ts'
import * as addressChanges from '../stores/people/address-changes.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import type { AccountTx } from './acting.ts'
import * as identities from './identities.ts'
import { removeAll } from './passkeys.ts'

type Asked = { email: string; language: string }

/**
 * Begins to change the address of an account. The new one counts once its owner opens the link in the mail. Whether the
 * address belongs to another account is decided when the mail is sent, so only its owner learns it.
 */
export async function requestChange({ tx, record, mail }: AccountTx, accountId: string, asked: Asked): Promise<void> {
  await accounts.lock(tx, accountId)
  await confirmations.revoke(tx, accountId, ['email-change'])
  await addressChanges.request(tx, accountId, asked.email)
  record({ type: 'account.email_change_requested', accountId })
  mail({ kind: 'email-change', to: asked.email, language: asked.language, accountId })
}

/** Sends the link once more. `'none'` if no change of address waits. */
export async function sendAgain(
  { tx, mail }: AccountTx,
  accountId: string,
  { language }: { language: string },
): Promise<'sent' | 'none'> {
  const email = await addressChanges.find(tx, accountId)
  if (email === undefined) return 'none'
  mail({ kind: 'email-change', to: email, language, accountId })
  return 'sent'
}

/** Ends a change of address before its link is opened. */
export async function cancelChange({ tx, record }: AccountTx, accountId: string): Promise<void> {
  await accounts.lock(tx, accountId)
  await addressChanges.end(tx, accountId)
  await confirmations.revoke(tx, accountId, ['email-change'])
  record({ type: 'account.email_change_cancelled', accountId })
}

/** Sends a link that proves the present address of an account. */
export function requestProof({ mail }: AccountTx, account: accounts.Account, { language }: { language: string }): void {
  mail({ kind: 'email-change', to: account.email, language, accountId: account.id })
}

/** The end of an opened link: the address that counts from now on, or the reason why it does not. */
export type AddressOutcome = { email: string; accountId: string } | 'gone' | 'taken'

/** Thrown to undo everything that a transaction did, with the outcome for the person. */
class Undone extends Error {
  override name = 'Undone'
  readonly outcome: 'gone' | 'taken'
  constructor(outcome: 'gone' | 'taken') {
    super(outcome)
    this.outcome = outcome
  }
}

/** Returns the outcome of a change, also if it was undone. */
export async function outcomeOf(change: Promise<AddressOutcome>): Promise<AddressOutcome> {
  try {
    return await change
  } catch (error) {
    if (error instanceof Undone) return error.outcome
    throw error
  }
}

/**
 * Gives an account its new address, or marks its present one as proven, for a person who is signed in to that very account:
 * otherwise somebody could have the owner of an address confirm it for an account that is not theirs. A mail to the previous address has a link that undoes
 * the change, if that address was proven. Otherwise it may be somebody else's by a slip, who must not get that power.
 */
export async function confirmChange(
  context: AccountTx,
  token: string,
  signedInAccountId: string,
): Promise<AddressOutcome> {
  const { tx, envelope, record, mail } = context
  const redeemed = await confirmations.redeem(tx, envelope, { token }, { purposes: ['email-change'] })
  if (!redeemed?.accountId) return 'gone'
  const { accountId, email } = redeemed
  if (accountId !== signedInAccountId) throw new Undone('gone')
  const account = await accounts.lock(tx, accountId)
  if (!account) return 'gone'
  const isSame = (other: string | undefined) =>
    other !== undefined && accounts.canonicalEmail(other) === accounts.canonicalEmail(email)
  if (isSame(account.email)) {
    await accounts.update(tx, accountId, { emailVerified: true })
    record({ type: 'account.email_verified', accountId })
    return { email: account.email, accountId }
  }
  if (!isSame(await addressChanges.find(tx, accountId))) throw new Undone('gone')
  await addressChanges.end(tx, accountId)
  if ((await accounts.update(tx, accountId, { email, emailVerified: true })) === 'email-taken')
    throw new Undone('taken')
  await confirmations.revoke(tx, accountId, ['password-reset', 'invitation', 'sign-in', 'email-change'])
  record({ type: 'account.email_changed', accountId })
  if (account.emailVerified) mail({ kind: 'email-changed', to: account.email, accountId, newEmail: email })
  return { email, accountId }
}

/**
 * Gives an account its previous address back and signs it out everywhere, because somebody else may have changed it. They
 * needed a recent sign-in for that, so they may know the password, or have added a passkey or linked an account elsewhere: all of these end too, or they would
 * change the address again before its owner acts. Links of later changes end, and those of earlier ones stay. A mail
 * leads to a new password.
 */
export async function undoChange(context: AccountTx, token: string): Promise<AddressOutcome> {
  const { tx, envelope, record, mail } = context
  const redeemed = await confirmations.redeem(tx, envelope, { token }, { purposes: ['email-undo'] })
  if (!redeemed?.accountId) return 'gone'
  const { accountId, email, idHash } = redeemed
  if (!(await accounts.signOutEverywhere(tx, accountId))) return 'gone'
  if ((await accounts.update(tx, accountId, { email, emailVerified: true })) === 'email-taken')
    throw new Undone('taken')
  await accounts.removePassword(tx, accountId)
  const account = await accounts.findById(tx, accountId)
  if (account) {
    await removeAll(context, account)
    await identities.removeAll(context, account)
  }
  await addressChanges.end(tx, accountId)
  await confirmations.revoke(tx, accountId, ['password-reset', 'invitation', 'sign-in', 'email-change'])
  await confirmations.revokeNewer(tx, accountId, { idHash, purposes: ['email-undo'] })
  record({ type: 'account.email_restored', accountId })
  mail({ kind: 'password-reset', to: email })
  return { email, accountId }
}
