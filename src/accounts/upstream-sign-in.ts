import { mapped, usualClaims } from '../authentication/federation/mapping.ts'
import type { Upstream } from '../authentication/federation/settings.ts'
import type { Verified } from '../authentication/federation/verified.ts'
import { isAmongDomains } from '../config/domains.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as identities from '../stores/people/identities.ts'
import type { AccountTx } from './acting.ts'
import { emailAddress } from './email-addresses.ts'
import { link } from './identities.ts'
import { claims as profileClaims } from './profile.ts'
import { proveAddress } from './recovery.ts'
import { isAllowedAddress, type SignUpRules } from './sign-up.ts'

/** Why somebody who signed in at a provider is not signed in here. */
export type UpstreamRefusal = 'upstream-link-first' | 'upstream-no-address' | 'upstream-closed' | 'upstream-failed'

/** Returns whether the operator named a provider as the authority of the domain of an address. */
export function isAuthority({ authorityDomains }: Pick<Upstream, 'authorityDomains'>, email: string): boolean {
  return isAmongDomains(accounts.canonicalEmail(email).replace(/^.*@/, ''), authorityDomains)
}

/**
 * Finds the account of somebody who signed in at a provider, or creates one.
 *
 * An address alone never leads to an account that exists, because a provider could name any. The exception is a provider
 * that the operator named as the authority of its domain, and that says that the address was verified.
 */
export async function signIn(
  context: AccountTx,
  {
    upstream,
    verified,
    rules,
    language,
    keptSessionUid,
  }: {
    upstream: Upstream
    verified: Verified
    rules: SignUpRules
    language: string
    keptSessionUid: string | undefined
  },
): Promise<accounts.Account | UpstreamRefusal> {
  const known = await signInByIdentity(context, upstream, verified)
  if (known !== undefined) return known
  const { email, isEmailVerified } = verified
  if (email === undefined || !isEmailVerified || !emailAddress.safeParse(email).success) return 'upstream-no-address'
  const isOwn = isAuthority(upstream, email)
  const existing = await accounts.findByEmail(context.tx, email)
  if (existing) {
    if (!isOwn || existing.isDisabled) return 'upstream-link-first'
    return signInByAuthority(context, existing, { upstream, verified, keptSessionUid })
  }
  const { sign_up } = upstream.settings
  const isOpen = sign_up === 'allow' || (sign_up === 'follow' && rules.mode === 'open')
  if (!isOpen || (sign_up === 'follow' && !isAllowedAddress(email, rules))) return 'upstream-closed'
  const created = await accounts.create(context.tx, {
    email,
    emailVerified: isOwn, // for any other provider it is hearsay: the address is proven by mail
    profile: { locale: language, ...usualClaims(verified.claims), ...validMapped(upstream, verified) },
  })
  // Another tab may have created it just now.
  if (created === 'email-taken') {
    return (await signInByIdentity(context, upstream, verified)) ?? 'upstream-link-first'
  }
  context.record({ type: 'account.signed_up', accountId: created.id, details: { provider: upstream.id } })
  if ((await link(context, created.id, { upstream, verified, by: 'sign-up' })) !== 'linked') {
    throw new Error('An identity was linked twice at once.') // undoes the new account
  }
  return signedIn(context, created, upstream)
}

async function signInByIdentity(
  context: AccountTx,
  upstream: Upstream,
  verified: Verified,
): Promise<accounts.Account | 'upstream-failed' | undefined> {
  const { tx } = context
  const { issuer, subject } = verified
  const name = { providerId: upstream.id, issuer, subject }
  const found = await identities.find(tx, name)
  if (!found) return undefined
  const account = await accounts.lock(tx, found.accountId)
  if (!account || account.isDisabled) return 'upstream-failed'
  // It may have been unlinked while this waited for the account.
  if ((await identities.find(tx, name))?.accountId !== account.id) return 'upstream-failed'
  await identities.noteUse(tx, name, verified.claims)
  const changed = validMapped(upstream, verified)
  if (Object.keys(changed).length > 0) {
    await accounts.update(tx, account.id, { profile: { ...account.profile, ...changed } })
  }
  return signedIn(context, account, upstream)
}

/**
 * Links an account that has the address of the person. If the address was never proven here, somebody else may have
 * created the account with it and waited: everything that signs in to it ends first.
 */
async function signInByAuthority(
  context: AccountTx,
  { id }: accounts.Account,
  {
    upstream,
    verified,
    keptSessionUid,
  }: { upstream: Upstream; verified: Verified; keptSessionUid: string | undefined },
): Promise<accounts.Account | UpstreamRefusal> {
  const account = await proveAddress(context, id, keptSessionUid)
  if (account === 'gone') return 'upstream-failed'
  const linked = await link(context, id, { upstream, verified, by: 'authority' })
  if (linked !== 'linked') return 'upstream-failed'
  return signedIn(context, account, upstream)
}

function signedIn({ record }: AccountTx, account: accounts.Account, { id }: Upstream): accounts.Account {
  record({ type: 'sign_in.succeeded', accountId: account.id, details: { method: 'upstream', provider: id } })
  return account
}

/** Returns the claims that the rules of a provider make, without those that no account may have. */
export function validMapped({ settings }: Upstream, { claims }: Pick<Verified, 'claims'>): Record<string, unknown> {
  const all = Object.entries(mapped(settings.mapping, claims))
  return Object.fromEntries(all.filter(([name, value]) => profileClaims.safeParse({ [name]: value }).success))
}
