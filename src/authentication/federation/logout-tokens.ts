import { createRemoteJWKSet, customFetch, type JWTPayload, jwtVerify } from 'jose'
import type * as oidc from 'openid-client'
import { createBoundedMap } from '../../bounded-map.ts'
import type { Upstream } from './settings.ts'

/** The end of a sign-in at an upstream provider: that of one session, or of every session of a person. */
export type UpstreamLogout = {
  issuer: string
  subject: string | undefined
  sid: string | undefined
  /** The identifier of the token, which counts once. */
  jti: string
}

export type VerifyLogout = (upstream: Upstream, token: string) => Promise<UpstreamLogout>

const event = 'http://schemas.openid.net/event/backchannel-logout'
export const longestLogoutAgeSeconds = 300
const remembered = 100

/** Creates the function that verifies logout tokens of upstream providers (OpenID Connect Back-Channel Logout 1.0 §2.6). */
export function createVerifyLogout({
  discover,
  algorithms,
  fetch: guarded,
}: {
  discover(upstream: Upstream): Promise<oidc.Configuration>
  algorithms: string[]
  fetch: typeof globalThis.fetch
}): VerifyLogout {
  const found = createBoundedMap<string, ReturnType<typeof createRemoteJWKSet>>(remembered)

  return async (upstream, token) => {
    const { issuer, jwks_uri } = (await discover(upstream)).serverMetadata()
    if (jwks_uri === undefined) throw new Error('The provider publishes no keys.')
    const keys = found.get(jwks_uri) ?? createRemoteJWKSet(new URL(jwks_uri), { [customFetch]: guarded })
    found.set(jwks_uri, keys)
    const { payload } = await jwtVerify(token, keys, {
      algorithms,
      ...(!issuer.includes('{tenantid}') && { issuer }),
      audience: upstream.settings.client_id,
      maxTokenAge: longestLogoutAgeSeconds,
      clockTolerance: 30,
      requiredClaims: ['iss', 'iat', 'jti'],
    })
    assertLogout(payload, upstream)
    const { iss, sub, jti, sid } = payload
    if (sub === undefined && typeof sid !== 'string') throw new Error('The logout token names nobody.')
    return {
      issuer: String(iss),
      subject: sub,
      sid: typeof sid === 'string' ? sid : undefined,
      jti: String(jti),
    }
  }
}

function assertLogout(payload: JWTPayload, { settings }: Upstream): void {
  const { events, aud } = payload
  if ([aud].flat().some((audience) => audience !== settings.client_id))
    throw new Error('It is for another client, too.')
  if (typeof events !== 'object' || events === null || !Object.hasOwn(events, event))
    throw new Error('It is no logout token.')
  if (Object.hasOwn(payload, 'nonce')) throw new Error('It has a nonce, so it may be an ID token.')
}
