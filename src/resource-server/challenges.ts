import type { Scheme } from './credentials.ts'
import type { HttpAnswer } from './http.ts'
import type { Settings } from './options.ts'
import { algorithms } from './signatures.ts'

/** Why a request is refused, with what else the challenge says about it. */
export type Problem = {
  error: keyof typeof statuses
  error_description: string
  scope?: string | undefined
  acr_values?: string | undefined
  max_age?: number | undefined
}

// biome-ignore format: it is a table
const statuses = {
  invalid_request:                  400, // RFC 6750 §3.1
  invalid_token:                    401, // RFC 6750 §3.1
  insufficient_scope:               403, // RFC 6750 §3.1
  invalid_dpop_proof:               401, // RFC 9449 §7.1
  insufficient_user_authentication: 401, // RFC 9470 §3
}

export const problem = (error: Problem['error'], error_description: string): Problem => ({ error, error_description })

/** The answers to requests that are not let through. */
export type Challenges = {
  /** Whether tokens may be brought this way. */
  accepts(scheme: Scheme): boolean
  /** To a request without a token: it learns how to bring one, and nothing else (RFC 6750 §3.1). */
  unauthenticated(): HttpAnswer
  /** To a request that was found wanting. */
  refused(used: Scheme, why: Problem): HttpAnswer
  /** Where nobody could tell. It is not the caller's fault: after a 401 they would throw away a good token. */
  unavailable(): HttpAnswer
}

type Parameters = Record<string, string | number | undefined>

const retryAfterSeconds = 5

export function createChallenges(
  { realm, isBoundOnly }: Pick<Settings, 'realm' | 'isBoundOnly'>,
  { url }: { url: string | undefined },
): Challenges {
  const accepted: readonly Scheme[] = isBoundOnly ? ['DPoP'] : ['Bearer', 'DPoP']

  function challenge(scheme: Scheme, why: Parameters = {}): string {
    const parameters: Parameters = {
      realm,
      resource_metadata: url, // RFC 9728 §5.1
      ...why,
      algs: scheme === 'DPoP' ? algorithms.join(' ') : undefined, // RFC 9449 §7.1
    }
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
    return `${scheme} ${given.map(([name, value]) => `${name}=${quoted(String(value))}`).join(', ')}`
  }

  return {
    accepts: (scheme) => accepted.includes(scheme),

    unauthenticated() {
      const headers = { 'www-authenticate': accepted.map((scheme) => challenge(scheme)).join(', ') }
      return answer(401, headers, { error_description: 'This needs an access token' })
    },

    refused(used, why) {
      const { error, error_description } = why
      const status = statuses[error]
      const named = status === 401 ? accepted : [used] // another scheme may be what a 401 asks for
      const challenges = named.map((scheme) => challenge(scheme, scheme === used ? why : {}))
      return answer(status, { 'www-authenticate': challenges.join(', ') }, { error, error_description })
    },

    unavailable: () => answer(503, { 'retry-after': String(retryAfterSeconds) }, { error: 'temporarily_unavailable' }),
  }
}

function answer(status: number, headers: Record<string, string>, body: object): HttpAnswer {
  return { status, headers: { ...headers, 'cache-control': 'no-store' }, body }
}

/** A quoted-string (RFC 9110 §5.6.4) from which nothing can break out. */
function quoted(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
