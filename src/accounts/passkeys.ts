import type { VerifiedPasskey } from '../authentication/passkeys/verification.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as challenges from '../stores/people/challenges.ts'
import * as passkeys from '../stores/people/passkeys.ts'
import type { AccountTx } from './acting.ts'
import { visibleOnly } from './own-claims.ts'
import { type AllowedWays, remainingWays } from './ways-in.ts'

/** The most passkeys of an account. Browsers send the list of them to every authenticator. */
export const mostPasskeys = 20

const longestName = 60

/** Returns a name as it is stored; '' if there is nothing in it to see. */
export function nameOf(typed: string): string {
  return [...visibleOnly(typed).normalize('NFC').replaceAll(/\s+/g, ' ').trim()].slice(0, longestName).join('')
}

/**
 * Adds a passkey whose answer was verified, and tells the owner of the account by mail. This redeems its challenge.
 *
 * @returns `'gone'` if the challenge was used, has expired, belongs to another browser or account, or the account has
 *   changed; `'taken'` if the passkey exists already; `'too-many'` if the account has as many as it can have.
 */
export async function add(
  context: AccountTx,
  accountId: string,
  { passkey, belonging, name }: { passkey: VerifiedPasskey; belonging: challenges.Belonging; name: string },
): Promise<passkeys.Passkey | 'gone' | 'taken' | 'too-many'> {
  const { tx, mail } = context
  const account = await accounts.lock(tx, accountId)
  if (!account || account.isDisabled) return 'gone'
  const redeemed = await challenges.redeem(tx, passkey.challenge, { ...belonging, accountId })
  if (!redeemed) return 'gone'
  const existing = await passkeys.listByAccount(tx, accountId)
  if (existing.length >= mostPasskeys) return 'too-many'
  // Two tabs may have begun to add the first one, each with a user handle of its own.
  if (existing[0] && !existing[0].userHandle.equals(redeemed.userHandle)) return 'gone'
  const added = await store(context, accountId, { passkey, userHandle: redeemed.userHandle, name })
  if (typeof added === 'string') return added
  mail({ kind: 'passkey-added', to: account.email, accountId, at: new Date().toISOString(), name: added.name })
  return added
}

/** Stores a passkey whose challenge was redeemed. */
export async function store(
  { tx, record }: AccountTx,
  accountId: string,
  { passkey, userHandle, name }: { passkey: VerifiedPasskey; userHandle: Buffer; name: string },
): Promise<passkeys.Passkey | 'taken'> {
  const { challenge: _challenge, ...verified } = passkey
  const added = await passkeys.add(tx, { ...verified, accountId, userHandle, name: nameOf(name) || 'Passkey' })
  if (typeof added === 'string') return added
  record({ type: 'account.passkey_added', accountId, details: { passkey: added.id, name: added.name } })
  return added
}

/** Gives a passkey another name. `'gone'` if the account has no such passkey, and `'unnamed'` if the name is empty. */
export async function rename(
  { tx, record }: AccountTx,
  accountId: string,
  id: string,
  typed: string,
): Promise<'renamed' | 'gone' | 'unnamed'> {
  const name = nameOf(typed)
  if (name === '') return 'unnamed'
  if (!(await passkeys.rename(tx, accountId, id, name))) return 'gone'
  record({ type: 'account.passkey_renamed', accountId, details: { passkey: id, name } })
  return 'renamed'
}

/**
 * Removes a passkey, and tells the owner of the account by mail.
 *
 * @param options.signsOut - Whether it ends the sign-ins of the account, except in the session `keptSessionUid`: whoever
 *   has the lost device may be signed in.
 * @returns the passkey; `'gone'` if the account has no such passkey, and `'last'` if nothing else signs in to the account.
 */
export async function remove(
  { tx, record, mail }: AccountTx,
  accountId: string,
  {
    id,
    allowed,
    signsOut,
    keptSessionUid,
  }: { id: string; allowed: AllowedWays; signsOut: boolean; keptSessionUid: string },
): Promise<passkeys.Passkey | 'gone' | 'last'> {
  const account = await accounts.lock(tx, accountId)
  if (!account) return 'gone'
  const ways = await remainingWays(tx, accountId, allowed, { kind: 'passkey', id })
  if (ways.length === 0) return 'last'
  const removed = await passkeys.remove(tx, accountId, id)
  if (!removed) return 'gone'
  if (signsOut) await accounts.signOutElsewhere(tx, accountId, keptSessionUid)
  const { name } = removed
  record({ type: 'account.passkey_removed', accountId, details: { passkey: id, name, signed_out: signsOut } })
  mail({ kind: 'passkey-removed', to: account.email, accountId, at: new Date().toISOString(), name })
  return removed
}

/** Removes every passkey of an account that somebody else may have had in their hands, and returns their number. */
export async function removeAll({ tx, record, mail }: AccountTx, account: accounts.Account): Promise<number> {
  const { id: accountId, email } = account
  const all = await passkeys.listByAccount(tx, accountId)
  for (const { id, name } of all) {
    await passkeys.remove(tx, accountId, id)
    record({ type: 'account.passkey_removed', accountId, details: { passkey: id, name, signed_out: true } })
    mail({ kind: 'passkey-removed', to: email, accountId, at: new Date().toISOString(), name })
  }
  return all.length
}
