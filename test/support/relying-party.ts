import * as oidc from 'openid-client'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import type { TestPostern } from './postern.ts'
import { createVisitor, type Page, type Visitor } from './visitor.ts'

/**
 * Creates a relying party: openid-client set up for a client of a test's provider. It verifies the signatures of ID
 * tokens, and accepts none with another algorithm than the client is registered for.
 */
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
  const metadata = { id_token_signed_response_alg: String(client['id_token_signed_response_alg'] ?? 'RS256') }
  return oidc.discovery(new URL(postern.issuer), client.client_id, metadata, method, {
    execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
  })
}

export type Login = { page: Page; verifier: string; visitor: Visitor; nonce: string; state: string }

/**
 * Begins an authorization request with PKCE in a visitor's browser, and returns the page it leads to. A parameter given
 * as `undefined` is left out, and one given as a list is repeated.
 */
export async function beginLogin(
  config: oidc.Configuration,
  { visitor, issuer, ...parameters }: { visitor?: Visitor; issuer: string; [parameter: string]: unknown },
): Promise<Login> {
  const verifier = oidc.randomPKCECodeVerifier()
  const [nonce, state] = [oidc.randomNonce(), oidc.randomState()]
  const browser = visitor ?? createVisitor(issuer)
  const asked = {
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    nonce,
    state,
    ...parameters,
  }
  const sent = Object.entries(asked).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((item) => [name, String(item)]),
  )
  const url = oidc.buildAuthorizationUrl(config, new URLSearchParams(sent))
  return { page: await browser.get(url.href), verifier, visitor: browser, nonce, state }
}

/** Begins with an address from elsewhere, such as that of a pushed request. */
export async function visit(postern: TestPostern, url: string | URL, visitor = createVisitor(postern.issuer)) {
  return { page: await visitor.get(String(url)), visitor }
}

/** Signs in and consents, as far as the pages ask for it, until the browser returns to the relying party. */
export async function completeLogin(
  { page, visitor }: Pick<Login, 'page' | 'visitor'>,
  email: string,
  scopes?: string[],
): Promise<URL> {
  let current = page
  for (let step = 0; step < 4; step++) {
    if (!current.url.includes('/interaction/')) return new URL(current.url)
    current = current.body.includes('name="password"')
      ? await visitor.signIn(current, email)
      : await visitor.allow(current, scopes)
  }
  throw new Error(`the login did not end: ${current.url}`)
}

export type LoginOptions = {
  email: string
  scope?: string
  scopes?: string[]
  visitor?: Visitor
  [parameter: string]: unknown
}

/** Completes a login up to the authorization response, and returns everything needed to continue. */
export async function authorize(
  postern: TestPostern,
  client: ClientMetadata,
  {
    email,
    scope = 'openid',
    scopes,
    visitor,
    config: given,
    ...parameters
  }: LoginOptions & {
    config?: oidc.Configuration
  },
) {
  const config = given ?? (await discover(postern, client))
  const begun = await beginLogin(config, {
    issuer: postern.issuer,
    scope,
    ...(visitor && { visitor }),
    ...(scope.includes('offline_access') && { prompt: 'consent' }),
    ...parameters,
  })
  return { ...begun, config, callback: await completeLogin(begun, email, scopes) }
}

/** Completes a whole login, and returns the tokens and the browser. */
export async function login(
  postern: TestPostern,
  client: ClientMetadata,
  options: LoginOptions & { config?: oidc.Configuration; tokenParameters?: Record<string, string> },
) {
  const { tokenParameters, ...request } = options
  const { config, callback, verifier, nonce, state, visitor } = await authorize(postern, client, request)
  const tokens = await oidc.authorizationCodeGrant(
    config,
    callback,
    { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state },
    tokenParameters,
  )
  return { config, tokens, visitor, callback, verifier }
}

/** Returns the error of the token endpoint. Fails if the request succeeded. */
export async function refusal(
  work: Promise<unknown>,
): Promise<{ error: string; status: number; description?: string }> {
  try {
    await work
  } catch (error) {
    if (error instanceof oidc.ResponseBodyError)
      return {
        error: error.error,
        status: error.status,
        ...(error.error_description !== undefined && { description: error.error_description }),
      }
    if (error instanceof oidc.WWWAuthenticateChallengeError)
      return { error: String(error.cause[0]?.parameters.error), status: error.status }
    throw error
  }
  throw new Error('it was not refused')
}
