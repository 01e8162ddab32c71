import type { Problem } from './challenges.ts'
import type { Claims } from './claims.ts'
import type { Demands } from './options.ts'

/** Finds what a valid token lacks of the demands on it, if anything. */
export function unmetBy(claims: Claims, demands: Demands): Problem | undefined {
  const { scopes = [], maxAgeSeconds, acrValues = [] } = demands
  const granted = claims.scope?.split(' ') ?? []
  const scope = scopes.join(' ') || undefined
  if (!scopes.every((one) => granted.includes(one))) {
    return { error: 'insufficient_scope', error_description: 'The token lacks a scope that this needs', scope }
  }

  // A claim that is missing does not meet a demand: otherwise a client could leave it out of its request (RFC 9470 §6).
  const signedInAgo = Date.now() / 1000 - (claims.auth_time ?? Number.NEGATIVE_INFINITY)
  const isTooLongAgo = maxAgeSeconds !== undefined && !(signedInAgo <= maxAgeSeconds)
  const isTooWeak = acrValues.length > 0 && !acrValues.includes(claims.acr ?? '')
  if (!isTooLongAgo && !isTooWeak) return undefined
  return {
    error: 'insufficient_user_authentication',
    error_description: isTooWeak ? 'This needs another way of signing in' : 'This needs a more recent sign-in',
    scope,
    acr_values: acrValues.join(' ') || undefined,
    max_age: maxAgeSeconds,
  }
}
