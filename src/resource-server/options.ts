import { emitWarning } from 'node:process'
import { createReplayStore, type ReplayStore } from './replays.ts'
import { algorithms } from './signatures.ts'

/** The demands on a valid token. */
export type Demands = {
  /** The scopes that it must have, all of them. */
  scopes?: readonly string[] | undefined
  /** How long ago its user may have signed in (RFC 9470 §3). */
  maxAgeSeconds?: number | undefined
  /** The accepted ways of signing in, the preferred one first (RFC 9470 §3). */
  acrValues?: readonly string[] | undefined
}

/** The client that asks the authorization server about tokens (RFC 7662), and how often it asks. */
export type Introspection = {
  clientId: string
  clientSecret: string
  /** How long an answer is used, and so how long a revoked token may still work (5). With 0, each request asks. */
  cacheSeconds?: number | undefined
  /** The number of answers that are kept (10,000). */
  cacheEntries?: number | undefined
  /** Whether answers must be signed (RFC 9701). */
  signed?: boolean | undefined
}

export type Options = Demands & {
  /** The authorization server, spelled as in its metadata (RFC 8414 §3.3). */
  issuer: string
  /** This API, as clients name it in `resource` and their tokens in `aud` (RFC 8707 §2). */
  audience: string
  /** Accepts any token for this API, for an API without scopes. Otherwise `scopes` is required. */
  dangerouslyAcceptAnyScope?: true | undefined
  /** Introspects tokens. Without this they must be JWTs, and are verified with the published keys (RFC 9068 §4). */
  introspection?: Introspection | undefined
  /** `required` refuses tokens that are not bound to a key. A bound token always needs a proof (RFC 9449 §7). */
  dpop?: 'allowed' | 'required' | undefined
  /** Remembers used proofs. Several processes need a store that they share. */
  replayStore?: ReplayStore | undefined
  /**
   * The address of this API up to the path, as clients see it and write it into proofs. Default: the origin of the
   * audience.
   */
  baseUrl?: string | undefined
  /** The realm in challenges (RFC 9110 §11.5). Default: the audience. */
  realm?: string | undefined
  /** Further members of the protected resource metadata, such as `resource_name` (RFC 9728 §2). */
  metadata?: Readonly<Record<string, unknown>> | undefined
  /** How long the authorization server has to answer (2,500). */
  timeoutMs?: number | undefined
  /** How far the clocks of the server and of clients may be off (5). */
  clockToleranceSeconds?: number | undefined
  /** Called with the reason why a token could not be verified. Default: emits a warning of the process. */
  onUnavailable?: ((error: Error) => void) | undefined
}

export type Settings = {
  issuer: string
  audience: string
  introspection: { [Name in keyof Introspection]-?: NonNullable<Introspection[Name]> } | undefined
  demands: Demands
  isAnyScopeEnough: boolean
  isBoundOnly: boolean
  /** The algorithms that proofs may be signed with. */
  proofAlgorithms: readonly string[]
  replayStore: ReplayStore
  baseUrl: URL
  realm: string
  metadata: Readonly<Record<string, unknown>>
  timeoutMs: number
  clockToleranceSeconds: number
  onUnavailable: (error: Error) => void
}

/** Fills in the defaults. Throws at options that would fail later, or be weaker than they look. */
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
    proofAlgorithms: algorithms,
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
 * Throws at a demand that no token can meet, or that a challenge cannot name. An empty list of scopes throws too: it
 * would let in any client that can get a token for this API, for whatever purpose.
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
    "scopes must name what a token has to allow, such as ['notes:read']. Without scopes, any token for this API is let in; " +
      'if its tokens have none, set dangerouslyAcceptAnyScope: true',
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
