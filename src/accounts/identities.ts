import { nameOf, type Upstream } from '../authentication/federation/settings.ts'
import type { Verified } from '../authentication/federation/verified.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as identities from '../stores/people/identities.ts'
import type { AccountTx } from './acting.ts'
import { type AllowedWays, remainingWays } from './ways-in.ts'

/** The most accounts elsewhere that one account is linked to. */
const mostIdentities = 20

/** The reason why an account elsewhere becomes a way into an account: its owner proved both, or the operator decided so. */
export type LinkedBy = 'owner' | 'authority' | 'sign-up'

/**
 * Links an account elsewhere to an account, and tells its owner by mail. The caller has made sure that both belong to the
 * same person.
 *
 * @returns `'taken'` if it is linked to an account already, and `'gone'` if the account is gone.
 */
export async function link(
  { tx, record, mail }: AccountTx,
  accountId: string,
  { upstream, verified, by }: { upstream: Upstream; verified: Verified; by: LinkedBy },
): Promise<'linked' | 'taken' | 'too-many' | 'gone'> {
  const account = await accounts.lock(tx, accountId)
  if (!account || account.isDisabled) return 'gone'
  if ((await identities.listByAccount(tx, accountId)).length >= mostIdentities) return 'too-many'
  const { issuer, subject, claims } = verified
  const name = { providerId: upstream.id, issuer, subject }
  if ((await identities.link(tx, name, { accountId, claims })) === 'taken') return 'taken'
  record({ type: 'account.identity_linked', accountId, details: { provider: upstream.id, issuer, subject, by } })
  if (by !== 'sign-up') {
    const at = new Date().toISOString()
    mail({ kind: 'identity-linked', to: account.email, accountId, at, name: nameOf(upstream) })
  }
  return 'linked'
}

/**
 * Removes an account elsewhere from an account, and tells its owner by mail.
 *
 * @returns `'gone'` if they are not linked, and `'last'` if nothing else signs in to the account.
 */
export async function unlink(
  { tx, record, mail }: AccountTx,
  accountId: string,
  { name, shown, allowed }: { name: identities.IdentityName; shown: string; allowed: AllowedWays },
): Promise<'unlinked' | 'gone' | 'last'> {
  const account = await accounts.lock(tx, accountId)
  if (!account) return 'gone'
  const ways = await remainingWays(tx, accountId, allowed, { kind: 'identity', ...name })
  if (ways.length === 0) return 'last'
  if (!(await identities.unlink(tx, name, accountId))) return 'gone'
  const { providerId: provider, issuer, subject } = name
  record({ type: 'account.identity_unlinked', accountId, details: { provider, issuer, subject } })
  mail({ kind: 'identity-unlinked', to: account.email, accountId, at: new Date().toISOString(), name: shown })
  return 'unlinked'
}

/** Removes every account elsewhere that somebody without a right to the address may have linked. */
export async function removeAll({ tx, record, mail }: AccountTx, account: accounts.Account): Promise<void> {
  const { id: accountId, email } = account
  for (const { providerId: provider, issuer, subject } of await identities.unlinkAll(tx, accountId)) {
    record({ type: 'account.identity_unlinked', accountId, details: { provider, issuer, subject } })
    mail({ kind: 'identity-unlinked', to: email, accountId, at: new Date().toISOString(), name: provider })
  }
}
