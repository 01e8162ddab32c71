import { decodeProtectedHeader } from 'jose'
import * as oidc from 'openid-client'
import { createBoundedMap } from '../../bounded-map.ts'
import { credentialsFor } from './credentials.ts'
import { githubAnswer } from './github.ts'
import { createVerifyLogout, type VerifyLogout } from './logout-tokens.ts'
import { issuerOf, presets, type Upstream } from './settings.ts'
import { type Verified, verifiedOf } from './verified.ts'

/** The values that a request is bound to. Only Postern knows them until the answer arrives. */
export type Sent = { state: string; nonce: string; verifier: string }

export type UpstreamClient = {
  /** Returns the address at the provider to send a browser to, and the values that its answer must fit. */
  begin(
    upstream: Upstream,
    request: { redirectUri: string; loginHint?: string | undefined; isAgain?: boolean },
  ): Promise<{ url: URL; sent: Sent }>
  /** Verifies the answer that a browser came back with, and redeems its code. Throws unless everything fits. */
  verify(upstream: Upstream, callback: URL, sent: Sent): Promise<Verified>
  /** Verifies a logout token. Throws unless everything fits. */
  verifyLogout: VerifyLogout
  /** Returns the configuration of a provider, as it publishes it. */
  discover(upstream: Upstream, options?: { isFresh?: boolean }): Promise<oidc.Configuration>
}

// No algorithm without a signature, and none whose key is the client secret, which other servers may have.
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const keptMs = 600_000
const remembered = 100
const timeoutSeconds = 10

/** Returns where a provider sends browsers back to. Each has a path of its own, so that none can answer for another. */
export const callbackOf = (issuer: string, id: string): string => `${issuer}/upstream/${id}/callback`

/** Speaks with upstream providers. `fetch` decides which addresses it may reach. */
export function createUpstreamClient({ fetch }: { fetch: typeof globalThis.fetch }): UpstreamClient {
  const customFetch = fetch as oidc.CustomFetch
  const found = createBoundedMap<string, { until: number; configuration: Promise<oidc.Configuration> }>(remembered)

  async function read(upstream: Upstream): Promise<oidc.Configuration> {
    const issuer = issuerOf(upstream)
    const { client_id } = upstream.settings
    const auth = await credentialsFor(upstream)
    const isInsecure = issuer.startsWith('http:') // which the fetch allows on this machine only
    if (presets[upstream.preset].protocol === 'github') {
      const endpoints = {
        authorization_endpoint: `${issuer}/login/oauth/authorize`,
        token_endpoint: `${issuer}/login/oauth/access_token`,
      }
      const configuration = new oidc.Configuration({ issuer, ...endpoints }, client_id, {}, auth)
      configuration[oidc.customFetch] = customFetch
      if (isInsecure) oidc.allowInsecureRequests(configuration)
      return configuration
    }
    return oidc.discovery(new URL(issuer), client_id, {}, auth, {
      timeout: timeoutSeconds,
      execute: [oidc.enableNonRepudiationChecks, ...(isInsecure ? [oidc.allowInsecureRequests] : [])],
      [oidc.customFetch]: customFetch,
    })
  }

  async function discover(
    upstream: Upstream,
    { isFresh = false }: { isFresh?: boolean } = {},
  ): Promise<oidc.Configuration> {
    const key = `${upstream.id} ${upstream.updatedAt.getTime()}`
    const known = found.get(key)
    if (!isFresh && known && known.until > performance.now()) return known.configuration
    const configuration = read(upstream)
    found.set(key, { until: performance.now() + keptMs, configuration })
    configuration.catch(() => found.delete(key)) // the next request tries again
    return configuration
  }

  return {
    discover,
    verifyLogout: createVerifyLogout({ discover, algorithms, fetch }),

    async begin(upstream, { redirectUri, loginHint, isAgain = false }) {
      const { settings, preset } = upstream
      const { scopes, responseMode, protocol } = presets[preset]
      const configuration = await discover(upstream)
      const sent = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier: oidc.randomPKCECodeVerifier() }
      const parameters = {
        redirect_uri: redirectUri,
        scope: (settings.scopes ?? scopes).join(' '),
        state: sent.state,
        code_challenge: await oidc.calculatePKCECodeChallenge(sent.verifier),
        code_challenge_method: 'S256',
        ...(protocol === 'openid' && { nonce: sent.nonce }),
        ...(responseMode && { response_mode: responseMode }),
        ...(loginHint && protocol === 'openid' && { login_hint: loginHint }),
        ...(isAgain && protocol === 'openid' && { prompt: 'login' }),
      }
      const isPushed = configuration.serverMetadata().pushed_authorization_request_endpoint !== undefined
      const url = isPushed
        ? await oidc.buildAuthorizationUrlWithPAR(configuration, parameters)
        : oidc.buildAuthorizationUrl(configuration, parameters)
      if (url.protocol !== 'https:' && !issuerOf(upstream).startsWith('http:'))
        throw new Error(`${url.protocol} is not https:`)
      return { url, sent }
    },

    async verify(upstream, callback, { state, nonce, verifier }) {
      const configuration = await discover(upstream)
      if (presets[upstream.preset].protocol === 'github') {
        const checks = { expectedState: state, pkceCodeVerifier: verifier }
        const tokens = await oidc.authorizationCodeGrant(configuration, callback, checks)
        return githubAnswer(upstream, configuration, tokens.access_token)
      }
      const tokens = await oidc.authorizationCodeGrant(configuration, callback, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      })
      const claims = tokens.claims()
      if (!claims || tokens.id_token === undefined) throw new Error('The answer has no ID token.')
      assertAlgorithm(tokens.id_token)
      assertAudience(claims, upstream.settings.client_id)
      const metadata = configuration.serverMetadata()
      const asks = claims['email'] === undefined && metadata.userinfo_endpoint !== undefined
      // The client compares its `sub` with that of the ID token (OpenID Connect Core §5.3.2).
      const more = asks ? await oidc.fetchUserInfo(configuration, tokens.access_token, claims.sub) : {}
      return verifiedOf(upstream, { ...more, ...claims })
    },
  }
}

function assertAlgorithm(idToken: string): void {
  const { alg = 'none' } = decodeProtectedHeader(idToken)
  if (!algorithms.includes(alg)) throw new Error(`The ID token is signed with ${alg}.`)
}

/** Requires an ID token for Postern and nobody else (OpenID Connect Core §3.1.3.7). */
function assertAudience({ aud, azp }: { aud: string | string[]; azp?: unknown }, clientId: string): void {
  if ([aud].flat().some((audience) => audience !== clientId))
    throw new Error('The ID token is for another client, too.')
  if (azp !== undefined && azp !== clientId) throw new Error('The ID token was issued to another client.')
}
