import type { Account } from '../stores/people/accounts.ts'

type Claim = (account: Account) => unknown

export type Scope = {
  /** Completes “If you allow it, the app can …” on the consent page, and one sentence of what it means. */
  title: string
  description: string
  claims: Record<string, Claim>
}

const fromProfile = (...names: string[]): Record<string, Claim> =>
  Object.fromEntries(names.map((name) => [name, (account: Account) => account.profile[name]]))

/** The scopes relying parties can ask for (OpenID Connect Core §5.4), and the claims each releases. A new one is an entry here. */
export const scopes: Record<string, Scope> = {
  openid: {
    title: 'Know it is you',
    description: 'An identifier that stands for your account.',
    claims: { sub: (account) => account.id },
  },
  profile: {
    title: 'See your profile',
    description: 'Your name and what else your profile says about you.',
    claims: {
      ...fromProfile('name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'profile'),
      ...fromProfile('picture', 'website', 'gender', 'birthdate', 'zoneinfo', 'locale'),
      updated_at: (account) => Math.floor(account.updatedAt.getTime() / 1000),
    },
  },
  email: {
    title: 'See your email address',
    description: 'Your email address and whether it was verified.',
    claims: { email: (account) => account.email, email_verified: (account) => account.emailVerified },
  },
  phone: {
    title: 'See your phone number',
    description: 'Your phone number and whether it was verified.',
    claims: fromProfile('phone_number', 'phone_number_verified'),
  },
  address: {
    title: 'See your postal address',
    description: 'Where you receive mail.',
    claims: fromProfile('address'),
  },
  groups: {
    title: 'See your groups',
    description: 'The groups and roles you belong to.',
    claims: fromProfile('groups'),
  },
  offline_access: {
    title: 'Keep access while you are away',
    description: 'Until you take it back, also when you are signed out.',
    claims: {},
  },
}

/** Whether a scope is one of OpenID Connect. Its name is then no API's: it would be in the `scope` of any client. */
export function isScope(name: string): boolean {
  return Object.hasOwn(scopes, name)
}

/** The scopes that userinfo answers something for. */
export const scopesOfUserinfo: readonly string[] = Object.keys(scopes).filter((name) => name !== 'offline_access')

/** Claims by scope, in the form the engine wants. */
export const claimsByScope: Record<string, string[]> = Object.fromEntries(
  Object.entries(scopes).flatMap(([name, { claims }]) => {
    const names = Object.keys(claims)
    return names.length > 0 ? [[name, names]] : []
  }),
)

const allClaims: Record<string, Claim> = Object.assign({}, ...Object.values(scopes).map(({ claims }) => claims))

/** Whether there is a claim of this name. */
export function isClaim(name: string): boolean {
  return Object.hasOwn(allClaims, name)
}

/** The scope that a claim comes with, if there is one. */
export function scopeOf(claim: string): string | undefined {
  return Object.entries(scopes).find(([, { claims }]) => Object.hasOwn(claims, claim))?.[0]
}

/** The value of one claim of an account, or `undefined`. */
export function claimOf(account: Account, name: string): unknown {
  return isClaim(name) ? allClaims[name]?.(account) : undefined
}

/** All claims of an account that have a value. What of it is released, the engine decides by scope and grant. */
export function claimsOf(account: Account): Record<string, unknown> & { sub: string } {
  const entries = Object.entries(allClaims).map(([name, claim]) => [name, claim(account)])
  return { ...Object.fromEntries(entries.filter(([, value]) => value !== undefined)), sub: account.id }
}
