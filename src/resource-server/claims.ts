import type { Flaw } from './flaws.ts'
import type { Settings } from './options.ts'

/** The claims of a token: those of RFC 9068 §2.2, which RFC 7662 §2.2 has as members of an answer. */
export type Claims = {
  aud: string | string[]
  exp: number
  iss?: string
  sub?: string
  client_id?: string
  scope?: string
  iat?: number
  nbf?: number
  /** When its user signed in, and how (RFC 9068 §2.2.1). */
  auth_time?: number
  acr?: string
  /** The key that it is bound to (RFC 9449 §6). */
  cnf?: { jkt?: string; [method: string]: unknown }
  [claim: string]: unknown
}

/** The authorization server's claims about a token, not yet checked. */
export type Found = Record<string, unknown>

/** Looks up a token. Resolves to `undefined` when the token is not valid, and rejects when that cannot be found out. */
export type LookUp = (token: string) => Promise<Found | undefined>

const isText = (value: unknown) => typeof value === 'string'
const isTime = (value: unknown) => Number.isFinite(value)
const isObject = (value: unknown) => typeof value === 'object' && value !== null

const forms: Record<string, (value: unknown) => boolean> = {
  iss: isText,
  aud: (value) => isText(value) || (Array.isArray(value) && value.every(isText)),
  exp: isTime,
  nbf: isTime,
  iat: isTime,
  sub: isText,
  client_id: isText,
  scope: isText,
  auth_time: isTime,
  acr: isText,
  cnf: isObject,
}

/**
 * Checks that a token is valid for this API now, however it was looked up. A remembered look-up is checked again at
 * each request, so that no token outlives its `exp`. The expiry has no tolerance: of two clocks, the one ahead decides.
 */
export function judge(
  found: Found,
  { issuer, audience, clockToleranceSeconds }: Pick<Settings, 'issuer' | 'audience' | 'clockToleranceSeconds'>,
): Claims | Flaw {
  const now = Date.now() / 1_000
  const isOfForm = Object.entries(forms).every(
    ([claim, isRight]) => found[claim] === undefined || isRight(found[claim]),
  )
  if (!isOfForm || found['exp'] === undefined || found['aud'] === undefined) return 'incomplete'
  const claims = found as Claims
  if (claims.iss !== undefined && claims.iss !== issuer) return 'other-issuer'
  if (![claims.aud].flat().includes(audience)) return 'other-audience'
  if (claims.exp <= now) return 'expired'
  if (Math.max(claims.nbf ?? 0, claims.iat ?? 0) > now + clockToleranceSeconds) return 'early'
  return claims
}
