import { type Proof, rankOf, reaches, type Strength } from './proofs.ts'

/** An authentication context class: its name in tokens and requests, and what satisfies it (OpenID Connect Core §2). */
export type Level = {
  acr: string
  strength: Strength
  /** How long a sign-in satisfies it. */
  maxAgeSeconds?: number | undefined
}

const saml = 'urn:oasis:names:tc:SAML:2.0:ac:classes'

/**
 * Returns the levels, the strongest first: those of the operator, and the ones that every Postern has.
 *
 * `phr` is registered by OpenID Connect Extended Authentication Profile ACR Values §2. The name for several factors is
 * that of PAPE 1.0 §4, which other providers know too. The names of the rest are of SAML 2.0 (Authentication Context
 * §3.4), the only registry with a class that says no more than that a password was sent over a protected connection.
 * It has none for mail, only one for means that are not specified (§3.4.25).
 */
export function createLevels({
  issuer,
  own,
  isMailOffered,
}: {
  issuer: string
  own: readonly Level[]
  isMailOffered: boolean
}): Level[] {
  const password = issuer.startsWith('https:') ? 'PasswordProtectedTransport' : 'Password'
  const common: Level[] = [
    { acr: 'phr', strength: 'phishing-resistant' },
    { acr: 'http://schemas.openid.net/pape/policies/2007/06/multi-factor', strength: 'two-factor' },
    { acr: `${saml}:${password}`, strength: 'single' },
    ...(isMailOffered ? [{ acr: `${saml}:unspecified`, strength: 'mail' } as const] : []),
  ]
  const named = new Set(own.map(({ acr }) => acr))
  // The sort is stable: a sign-in that no app asked about is named as at every Postern, not as at this one alone.
  return [...common.filter(({ acr }) => !named.has(acr)), ...own].sort(
    (a, b) => rankOf(b.strength) - rankOf(a.strength),
  )
}

/** Returns whether proofs satisfy a level now. */
export function satisfies(proofs: readonly Proof[], { strength, maxAgeSeconds }: Level, nowSeconds: number): boolean {
  return reaches(proofs, strength, { since: maxAgeSeconds === undefined ? 0 : nowSeconds - maxAgeSeconds })
}

/**
 * Returns the `acr` to state: the first requested one that the proofs satisfy now. Otherwise that of the strongest level that they satisfy. `undefined` if they satisfy none.
 */
export function acrOf(
  proofs: readonly Proof[],
  { levels, requested, nowSeconds }: { levels: readonly Level[]; requested: readonly string[]; nowSeconds: number },
): string | undefined {
  const satisfied = levels.filter((level) => satisfies(proofs, level, nowSeconds)).map(({ acr }) => acr)
  return requested.find((acr) => satisfied.includes(acr)) ?? satisfied[0]
}
