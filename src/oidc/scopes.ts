import type { Account } from '../stores/people/accounts.ts'
import type { ClaimName, ScopeName } from '../views/texts/index.ts'

type Claim = (account: Account) => unknown

/** The value of each claim. `sub` identifies the account, so no person decides on it and it needs no text. */
type Claims = { [Name in ClaimName | 'sub']?: Claim }

const fromProfile = (...names: ClaimName[]): Claims =>
  Object.fromEntries(names.map((name) => [name, (account: Account) => account.profile[name]]))

/**
 * The scopes that relying parties can request (OpenID Connect Core §5.4), with the claims that each releases. A new
 * scope or claim is an entry here, and its text on the consent page is an entry in `views/texts/`.
 */
export const scopes: Record<ScopeName, { claims: Claims }> = {
  openid: { claims: { sub: (account) => account.id } },
  profile: {
    claims: {
      ...fromProfile('name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'profile'),
      ...fromProfile('picture', 'website', 'gender', 'birthdate', 'zoneinfo', 'locale'),
      updated_at: (account) => Math.floor(account.updatedAt.getTime() / 1000),
    },
  },
  email: { claims: { email: (account) => account.email, email_verified: (account) => account.emailVerified } },
  phone: { claims: fromProfile('phone_number', 'phone_number_verified') },
  address: { claims: fromProfile('address') },
  groups: { claims: fromProfile('groups') },
  offline_access: { claims: {} },
}

/**
 * Returns whether a scope belongs to OpenID Connect. No API can use its name, because the `scope` of any client may
 * contain it.
 */
export function isOidcScope(name: string): name is ScopeName {
  return Object.hasOwn(scopes, name)
}

/** The scopes that userinfo returns claims for. */
export const scopesOfUserinfo: readonly string[] = Object.keys(scopes).filter((name) => name !== 'offline_access')

/** The claims of each scope, in the engine's form. */
export const claimsByScope: Record<string, string[]> = Object.fromEntries(
  Object.entries(scopes).flatMap(([name, { claims }]) => {
    const names = Object.keys(claims)
    return names.length > 0 ? [[name, names]] : []
  }),
)

const allClaims: Record<string, Claim> = Object.assign({}, ...Object.values(scopes).map(({ claims }) => claims))

/** Returns whether there is a claim of this name. */
export function isClaim(name: string): name is ClaimName | 'sub' {
  return Object.hasOwn(allClaims, name)
}

/** Returns the scope that releases a claim, if there is one. */
export function scopeOf(claim: string): string | undefined {
  return Object.entries(scopes).find(([, { claims }]) => Object.hasOwn(claims, claim))?.[0]
}

/** Returns the value of one claim of an account, or `undefined`. */
export function claimOf(account: Account, name: string): unknown {
  return isClaim(name) ? allClaims[name]?.(account) : undefined
}

/**
 * Returns all claims of an account that have a value. The engine decides by scope and grant which of them it releases.
 */
export function claimsOf(account: Account): Record<string, unknown> & { sub: string } {
  const entries = Object.entries(allClaims).map(([name, claim]) => [name, claim(account)])
  return { ...Object.fromEntries(entries.filter(([, value]) => value !== undefined)), sub: account.id }
}
