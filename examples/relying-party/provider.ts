import * as jose from 'jose'
import * as oidc from 'openid-client'

export type Settings = {
  issuer: string
  clientId: string
  clientSecret: string
  /** The address where browsers reach this app. */
  baseUrl: string
  /** The API to call, if any. Its registered identifier is also its address. */
  apiUrl: string | undefined
}

/** The values to remember from sending a person to the provider until their return. */
export type Attempt = { state: string; nonce: string; verifier: string }

/** The signed-in person, with what the provider issued for them. */
export type User = {
  sub: string
  /** The provider's identifier of its own session, which it sends when that session ends. */
  sid: string | undefined
  claims: Record<string, unknown>
  idToken: string
  refreshToken: string | undefined
}

type Tokens = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers

const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout'

/** Returns the functions that talk to the provider, and that verify its answers. */
export async function discover({ issuer, clientId, clientSecret, baseUrl, apiUrl }: Settings) {
  const config = await oidc.discovery(
    new URL(issuer),
    clientId,
    undefined,
    oidc.ClientSecretBasic(clientSecret),
    issuer.startsWith('http:') ? { execute: [oidc.allowInsecureRequests] } : {}, // a provider on this computer
  )
  const keys = jose.createRemoteJWKSet(new URL(String(config.serverMetadata().jwks_uri)))
  const seenLogoutTokens = new Map<string, number>()

  /**
   * Returns the claims about the person. If the access token is for an API and not for userinfo, the ID token has them.
   */
  async function claimsOf(tokens: Tokens): Promise<Record<string, unknown>> {
    const { sub = '', ...claims } = tokens.claims() ?? ({} as Partial<oidc.IDToken>)
    const isForUserinfo = tokens.scope?.split(' ').includes('openid')
    return isForUserinfo ? oidc.fetchUserInfo(config, tokens.access_token, sub) : { sub, ...claims }
  }

  return {
    /** Returns where to send a person who wants to sign in: the code flow with PKCE. */
    async begin(): Promise<{ url: string; attempt: Attempt }> {
      const verifier = oidc.randomPKCECodeVerifier()
      const attempt = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier }
      const url = oidc.buildAuthorizationUrl(config, {
        redirect_uri: `${baseUrl}/callback`,
        scope: `openid profile email offline_access${apiUrl ? ' notes:read' : ''}`,
        prompt: 'consent', // shows the page each time; without it consent is remembered
        ...(apiUrl && { resource: apiUrl }), // the tokens are then for this API (RFC 8707 §2)
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state: attempt.state,
        nonce: attempt.nonce,
      })
      return { url: url.href, attempt }
    },

    /** Completes the sign-in: compares state and issuer, redeems the code, validates the ID token and its nonce. */
    async complete(callback: URL, { state, nonce, verifier }: Attempt): Promise<User> {
      const tokens = await oidc.authorizationCodeGrant(config, callback, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      })
      const { sub = '', sid } = tokens.claims() ?? ({} as Partial<oidc.IDToken>)
      return {
        sub,
        sid: typeof sid === 'string' ? sid : undefined,
        claims: await claimsOf(tokens),
        idToken: tokens.id_token ?? '',
        refreshToken: tokens.refresh_token,
      }
    },

    /**
     * Exchanges the refresh token for an access token and a new refresh token, which must be kept whatever happens
     * next. The access token is for `resource` only; without `resource` it is for the same as the previous one (RFC
     * 8707 §2.2).
     */
    async refresh(user: User, resource?: string): Promise<{ user: User; accessToken: string }> {
      const tokens = await oidc.refreshTokenGrant(config, String(user.refreshToken), resource ? { resource } : {})
      const refreshToken = tokens.refresh_token ?? user.refreshToken
      return { user: { ...user, refreshToken, claims: await claimsOf(tokens) }, accessToken: tokens.access_token }
    },

    /** Revokes the tokens, and returns where to send the browser so that the provider signs it out as well. */
    async signOut({ idToken, refreshToken }: User): Promise<string> {
      // Access while away outlives a sign-out unless it is revoked. If that fails, signing out continues.
      if (refreshToken) await oidc.tokenRevocation(config, refreshToken).catch(() => undefined)
      return oidc.buildEndSessionUrl(config, {
        id_token_hint: idToken,
        post_logout_redirect_uri: `${baseUrl}/signed-out`,
      }).href
    },

    /**
     * Returns whose session has ended. Throws unless the provider signed this recently, for this client and as a logout
     * token: an ID token must not pass for one (OpenID Connect Back-Channel Logout 1.0 §2.6).
     */
    async readLogoutToken(token: unknown): Promise<{ sub: string | undefined; sid: string | undefined }> {
      const { payload } = await jose.jwtVerify(String(token), keys, {
        issuer,
        audience: clientId,
        typ: 'logout+jwt',
        algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA', 'ML-DSA-65'], // not HS256, whose key would be public
        requiredClaims: ['iat', 'exp', 'jti', 'events'],
        clockTolerance: 15,
      })
      const { sub, sid, jti = '', exp = 0, events, nonce } = payload
      const isEvent = typeof events === 'object' && events !== null && logoutEvent in events
      if (!isEvent || nonce !== undefined) throw new Error('This is not a logout token.')
      if (sub === undefined && typeof sid !== 'string')
        throw new Error('This logout token names neither a person nor a session.')

      for (const [id, until] of seenLogoutTokens) if (until < Date.now() / 1000) seenLogoutTokens.delete(id)
      if (seenLogoutTokens.has(jti)) throw new Error('This logout token was received before.')
      seenLogoutTokens.set(jti, exp + 15)
      return { sub, sid: typeof sid === 'string' ? sid : undefined }
    },
  }
}
