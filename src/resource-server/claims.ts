import type { Settings } from './options.ts'

/** What is known of a token: the claims of RFC 9068 §2.2, which are the members of RFC 7662 §2.2. */
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

/** What the authorization server says of a token, of whatever form that is. */
export type Found = Record<string, unknown>

/** Finds out about a token; `undefined` says that it is not good. Rejects when there is no finding out. */
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
 * Judges what was found of a token, in whichever way: the claims, or a sentence about why it is not good for this
 * API now. Remembered answers are judged again at each request, so that none outlives its `exp`. For that end there is
 * no tolerance: of two clocks the one that is ahead decides.
 */
export function judge(
  found: Found,
  { issuer, audience, clockToleranceSeconds }: Pick<Settings, 'issuer' | 'audience' | 'clockToleranceSeconds'>,
): Claims | string {
  const now = Date.now() / 1_000
  const isOfForm = Object.entries(forms).every(
    ([claim, isRight]) => found[claim] === undefined || isRight(found[claim]),
  )
  if (!isOfForm || found['exp'] === undefined || found['aud'] === undefined)
    return 'The token does not say what it has to'
  const claims = found as Claims
  if (claims.iss !== undefined && claims.iss !== issuer) return 'The token is of another issuer'
  if (![claims.aud].flat().includes(audience)) return 'The token is for another audience'
  if (claims.exp <= now) return 'The token has expired'
  if (Math.max(claims.nbf ?? 0, claims.iat ?? 0) > now + clockToleranceSeconds) return 'The token is not good yet'
  return claims
}
