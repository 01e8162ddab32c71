import type { Scheme } from './credentials.ts'
import type { HttpAnswer } from './http.ts'
import type { Settings } from './options.ts'

/** The reason why a request is refused, and the other parameters of its challenge. */
export type Problem = {
  error: keyof typeof statuses
  error_description?: string | undefined
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

/** The answers to requests that are not let through. */
export type Challenges = {
  /** Says whether this API takes tokens in a scheme. */
  accepts(scheme: Scheme): boolean
  /** Answers a request without a token. It says how to bring one, and nothing else (RFC 6750 §3.1). */
  unauthenticated(): HttpAnswer
  /** Answers a request whose token does not suffice. */
  refused(used: Scheme, why: Problem): HttpAnswer
  /** Answers a request whose token could not be verified. A 401 would make the caller throw away a valid token. */
  unavailable(): HttpAnswer
}

type Parameters = Record<string, string | number | undefined>

const retryAfterSeconds = 5

/** Creates the answers of an API. `url` is the address of its metadata. */
export function createChallenges(
  { realm, isBoundOnly, proofAlgorithms }: Pick<Settings, 'realm' | 'isBoundOnly' | 'proofAlgorithms'>,
  { url }: { url: string | undefined },
): Challenges {
  const accepted: readonly Scheme[] = isBoundOnly ? ['DPoP'] : ['Bearer', 'DPoP']

  function challenge(scheme: Scheme, why: Parameters = {}): string {
    const parameters: Parameters = {
      realm,
      resource_metadata: url, // RFC 9728 §5.1
      ...why,
      algs: scheme === 'DPoP' ? proofAlgorithms.join(' ') : undefined, // RFC 9449 §7.1
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
      const named = status === 401 ? accepted : [used] // a 401 may be about the scheme, so it offers the others too
      const challenges = named.map((scheme) => challenge(scheme, scheme === used ? why : {}))
      return answer(status, { 'www-authenticate': challenges.join(', ') }, { error, error_description })
    },

    unavailable: () => answer(503, { 'retry-after': String(retryAfterSeconds) }, { error: 'temporarily_unavailable' }),
  }
}

function answer(status: number, headers: Record<string, string>, body: object): HttpAnswer {
  return { status, headers: { ...headers, 'cache-control': 'no-store' }, body }
}

/** Writes a quoted-string (RFC 9110 §5.6.4) that no character in it can end. */
function quoted(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
