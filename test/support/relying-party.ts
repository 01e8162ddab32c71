import * as oidc from 'openid-client'
import type { ClientMetadata } from '../../src/stores/clients.ts'
import type { TestPostern } from './postern.ts'
import { createVisitor, type Page, type Visitor } from './visitor.ts'

/** A relying party: openid-client set up for a client of a test's provider. */
export function discover(
  postern: TestPostern,
  client: ClientMetadata,
  auth?: oidc.ClientAuth,
): Promise<oidc.Configuration> {
  const method =
    auth ??
    (client['token_endpoint_auth_method'] === 'none'
      ? oidc.None()
      : oidc.ClientSecretBasic(String(client['client_secret'])))
  return oidc.discovery(new URL(postern.issuer), client.client_id, undefined, method, {
    execute: [oidc.allowInsecureRequests],
  })
}

export type Login = { page: Page; verifier: string; visitor: Visitor; nonce: string; state: string }

/** Begins an authorization request with PKCE in a visitor's browser, and returns the page it leads to. */
export async function beginLogin(
  config: oidc.Configuration,
  { visitor, issuer, ...parameters }: { visitor?: Visitor; issuer: string; [parameter: string]: unknown },
): Promise<Login> {
  const verifier = oidc.randomPKCECodeVerifier()
  const [nonce, state] = [oidc.randomNonce(), oidc.randomState()]
  const browser = visitor ?? createVisitor(issuer)
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    nonce,
    state,
    ...(parameters as Record<string, string>),
  })
  return { page: await browser.get(url.href), verifier, visitor: browser, nonce, state }
}

/** Signs in and consents, whichever of the two is asked, until the browser returns to the relying party. */
export async function completeLogin({ page, visitor }: Login, email: string, scopes?: string[]): Promise<URL> {
  let current = page
  for (let step = 0; step < 4; step++) {
    if (!current.url.includes('/interaction/')) return new URL(current.url)
    current = current.body.includes('name="password"')
      ? await visitor.signIn(current, email)
      : await visitor.allow(current, scopes)
  }
  throw new Error(`the login did not end: ${current.url}`)
}

/** A whole login: the tokens, and the browser it was made in. */
export async function login(
  postern: TestPostern,
  client: ClientMetadata,
  {
    email,
    scope = 'openid',
    scopes,
    visitor,
    ...parameters
  }: { email: string; scope?: string; scopes?: string[]; visitor?: Visitor; [parameter: string]: unknown },
) {
  const config = await discover(postern, client)
  const begun = await beginLogin(config, {
    issuer: postern.issuer,
    scope,
    ...(visitor && { visitor }),
    ...(scope.includes('offline_access') && { prompt: 'consent' }),
    ...parameters,
  })
  const callback = await completeLogin(begun, email, scopes)
  const tokens = await oidc.authorizationCodeGrant(config, callback, {
    pkceCodeVerifier: begun.verifier,
    expectedNonce: begun.nonce,
    expectedState: begun.state,
  })
  return { config, tokens, visitor: begun.visitor, callback, verifier: begun.verifier }
}
