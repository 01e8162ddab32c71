import { emitWarning } from 'node:process'
import { createReplayStore, type ReplayStore } from './replays.ts'

/** What a token has to say, beyond being good here and now. */
export type Demands = {
  /** The scopes it must have, all of them. */
  scopes?: readonly string[] | undefined
  /** For how long its user may have been signed in (RFC 9470 §3). */
  maxAgeSeconds?: number | undefined
  /** The ways in which its user may have signed in, the preferred one first (RFC 9470 §3). */
  acrValues?: readonly string[] | undefined
}

/** As whom the authorization server is asked about tokens (RFC 7662), and how often. */
export type Introspection = {
  clientId: string
  clientSecret: string
  /** For how long an answer is good (5): so long does a revoked token work at most. With 0 each request asks. */
  cacheSeconds?: number | undefined
  /** How many answers are kept (10,000). */
  cacheEntries?: number | undefined
  /** Whether answers must be signed (RFC 9701). */
  signed?: boolean | undefined
}

export type Options = Demands & {
  /** The authorization server, spelled as in its metadata (RFC 8414 §3.3). */
  issuer: string
  /** This API: what clients ask for as `resource`, and their tokens name as `aud` (RFC 8707 §2). */
  audience: string
  /** Lets in any token for this API, for one whose tokens carry no scopes. Otherwise `scopes` is needed. */
  dangerouslyAcceptAnyScope?: true | undefined
  /** Ask about tokens. Without this they are JWTs, and verified with the published keys (RFC 9068 §4). */
  introspection?: Introspection | undefined
  /** `required` refuses tokens that are bound to no key. One that is bound always needs a proof (RFC 9449 §7). */
  dpop?: 'allowed' | 'required' | undefined
  /** Where used proofs are remembered. Several processes need one that they share. */
  replayStore?: ReplayStore | undefined
  /** What comes before the path in proofs, as clients see it. Default: the origin of the audience. */
  baseUrl?: string | undefined
  /** The realm in challenges (RFC 9110 §11.5). Default: the audience. */
  realm?: string | undefined
  /** More for the protected resource metadata, such as `resource_name` (RFC 9728 §2). */
  metadata?: Readonly<Record<string, unknown>> | undefined
  /** How long the authorization server may take to answer (2,500). */
  timeoutMs?: number | undefined
  /** How far its clock, and those of clients, may be from ours (5). */
  clockToleranceSeconds?: number | undefined
  /** Hears why a token could not be judged. Default: a warning of the process. */
  onUnavailable?: ((error: Error) => void) | undefined
}

export type Settings = {
  issuer: string
  audience: string
  introspection: { [Name in keyof Introspection]-?: NonNullable<Introspection[Name]> } | undefined
  demands: Demands
  isAnyScopeEnough: boolean
  isBoundOnly: boolean
  replayStore: ReplayStore
  baseUrl: URL
  realm: string
  metadata: Readonly<Record<string, unknown>>
  timeoutMs: number
  clockToleranceSeconds: number
  onUnavailable: (error: Error) => void
}

/** The options, with their defaults. Throws at what would fail later, or be weaker than it looks. */
export function settle(options: Options): Settings {
  const { issuer, audience, dpop = 'allowed', timeoutMs = 2_500, clockToleranceSeconds = 5 } = options
  const baseUrl = options.baseUrl ?? URL.parse(audience)?.origin
  assert(isIssuer(issuer), 'issuer must be an https URL without query and fragment; http is for this computer')
  assert(URL.canParse(audience) && !audience.includes('#'), 'audience must be an absolute URI without a fragment')
  assert(isWebAddress(baseUrl), 'baseUrl must be the http URL at which clients reach this API')
  assert(dpop === 'allowed' || dpop === 'required', 'dpop must be allowed or required')
  assert(isAmount(timeoutMs) && timeoutMs > 0, 'timeoutMs must be a positive number')
  assert(isAmount(clockToleranceSeconds), 'clockToleranceSeconds must be a number')
  const demands = { scopes: options.scopes, maxAgeSeconds: options.maxAgeSeconds, acrValues: options.acrValues }
  const isAnyScopeEnough = options.dangerouslyAcceptAnyScope === true
  assertDemands({ ...demands, scopes: demands.scopes ?? [] }, { isAnyScopeEnough })
  return {
    issuer,
    audience,
    introspection: options.introspection === undefined ? undefined : settleIntrospection(options.introspection),
    demands,
    isAnyScopeEnough,
    isBoundOnly: dpop === 'required',
    replayStore: options.replayStore ?? createReplayStore(),
    baseUrl: new URL(baseUrl),
    realm: options.realm ?? audience,
    metadata: options.metadata ?? {},
    timeoutMs,
    clockToleranceSeconds,
    onUnavailable: options.onUnavailable ?? ((error) => emitWarning(error)),
  }
}

function settleIntrospection(introspection: Partial<Introspection> | null): NonNullable<Settings['introspection']> {
  const { clientId, clientSecret, cacheSeconds = 5, cacheEntries = 10_000, signed = false } = introspection ?? {}
  assert(isText(clientId) && isText(clientSecret), 'introspection needs clientId and clientSecret')
  assert(isAmount(cacheSeconds), 'introspection.cacheSeconds must be a number')
  assert(isAmount(cacheEntries), 'introspection.cacheEntries must be a number')
  return { clientId, clientSecret, cacheSeconds, cacheEntries, signed }
}

/**
 * Throws at a demand that no token could meet, or that cannot be named in a challenge. And at a list without a scope: a
 * token is issued for an API whatever it is for, so that any client that can get one would be let in.
 */
export function assertDemands(
  { scopes, maxAgeSeconds = 0, acrValues = [] }: Demands,
  { isAnyScopeEnough }: Pick<Settings, 'isAnyScopeEnough'>,
): void {
  const token = /^[\x21\x23-\x5b\x5d-\x7e]+$/ // scope-token, RFC 6749 §3.3
  const isList = scopes === undefined || (Array.isArray(scopes) && scopes.every((scope) => token.test(scope)))
  assert(isList, 'scopes must be a list of scope tokens')
  assert(
    scopes === undefined || scopes.length > 0 || isAnyScopeEnough,
    "scopes must name what a token has to allow, such as ['notes:read']; without, any token for this API is let in. " +
      'If its tokens carry no scopes, say dangerouslyAcceptAnyScope: true',
  )
  assert(Array.isArray(acrValues) && acrValues.every((acr) => token.test(acr)), 'acrValues must be a list of values')
  assert(isAmount(maxAgeSeconds), 'maxAgeSeconds must be a number')
}

function isIssuer(value: unknown): boolean {
  const url = URL.parse(String(value))
  if (!url || url.search || url.hash) return false
  return (
    url.protocol === 'https:' || (url.protocol === 'http:' && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname))
  )
}

function isWebAddress(value: string | undefined): value is string {
  return /^https?:$/.test(URL.parse(value ?? '')?.protocol ?? '')
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isAmount = (value: unknown) => typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY

function assert(isTrue: boolean, message: string): asserts isTrue {
  if (!isTrue) throw new TypeError(`requireToken: ${message}.`)
}
