import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import type { Fetch, Fleet, ServerProcess } from '../support/processes.ts'
import { createVisitor, type Page, type Visitor } from '../support/visitor.ts'

export type Answer = {
  status: number
  /** The OAuth error, from the body, the redirect or the page that carried it. */
  error: string | undefined
  json: Record<string, unknown>
  /** The target of a redirect. */
  location: URL | undefined
  text: string
}

/** The destination of requests: one process, or a balancer in front of several. */
export type Reachable = Pick<ServerProcess, 'issuer' | 'fetch'>

type Call = {
  client?: ClientMetadata
  token?: string
  form?: Record<string, string>
  json?: unknown
  method?: string
  headers?: Record<string, string>
}

/** Sends one request to one process without following redirects. */
export async function call(
  server: Reachable,
  path: string,
  { client, token, form, json, method, headers = {} }: Call = {},
): Promise<Answer> {
  const isSecretClient = client && client['token_endpoint_auth_method'] !== 'none'
  const fields = { ...form, ...(client && !isSecretClient && { client_id: client.client_id }) }
  const credentials = isSecretClient
    ? `Basic ${Buffer.from(`${client.client_id}:${client['client_secret']}`).toString('base64')}`
    : token && `Bearer ${token}`
  const response = await server.fetch(new URL(path, server.issuer).href, {
    method: method ?? (form || json !== undefined ? 'POST' : 'GET'),
    redirect: 'manual',
    headers: {
      accept: 'application/json',
      ...(credentials && { authorization: credentials }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(form && { body: new URLSearchParams(fields) }),
    ...(json !== undefined && { body: JSON.stringify(json) }),
  })
  const text = await response.text()
  const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}
  const target = response.headers.get('location')
  const location = target ? new URL(target, server.issuer) : undefined
  const named = /\binvalid_[a-z_]+\b/.exec(text)?.[0] // on a page, unless a redirect carries it
  const error = body['error'] ?? location?.searchParams.get('error') ?? named
  return { status: response.status, error: error === undefined ? undefined : String(error), json: body, location, text }
}

/** Sends a token request (RFC 6749 §3.2). */
export function token(
  server: Reachable,
  client: ClientMetadata | undefined,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return call(server, '/oauth/token', { ...(client && { client }), form, headers })
}

export function refresh(server: Reachable, client: ClientMetadata, refreshToken: string): Promise<Answer> {
  return token(server, client, { grant_type: 'refresh_token', refresh_token: refreshToken })
}

export type Code = { code: string; verifier: string }

export function redeem(server: Reachable, client: ClientMetadata, { code, verifier }: Code): Promise<Answer> {
  return token(server, client, {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    redirect_uri: 'https://rp.example/cb',
  })
}

/** Creates a browser that talks to one of the processes. Tabs of one browser share their cookies. */
export function browserAt(server: Reachable, cookies?: Visitor['cookies']): Visitor {
  return createVisitor(server.issuer, { fetch: server.fetch, ...(cookies && { cookies }) })
}

/** Creates a gate in front of `fetch`: requests for such a path wait for all tabs, and then for `open`. */
export function gate(path: RegExp, tabs: number) {
  const arrived = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  let waiting = 0
  return {
    /** Resolves when all tabs wait; rejects when one of them gets a page instead. */
    arrived: (pages: Promise<Page>[]): Promise<void> =>
      Promise.race([arrived.promise, ...pages.map((page) => page.then(neverArrived))]),
    open: opened.resolve,
    through:
      (fetch: Fetch): Fetch =>
      async (input, init) => {
        if (path.test(new URL(String(input)).pathname)) {
          waiting += 1
          if (waiting === tabs) arrived.resolve()
          await opened.promise
        }
        return fetch(input, init)
      },
  }
}

function neverArrived({ status, url, body }: Page): never {
  throw new Error(`a tab stayed at ${url} with ${status}:\n${body.slice(0, 2_000)}`)
}

/** Copies a browser's cookies as they are now, unaffected by what it receives later. */
export function snapshot(visitor: Visitor): Visitor['cookies'] {
  return new Map(visitor.cookies)
}

/** Tells whether a browser still has a session, by means of `prompt=none` (OpenID Connect Core §3.1.2.1). */
export async function hasSession(visitor: Visitor, client: ClientMetadata): Promise<boolean> {
  const { url } = await visitor.get(authorizationRequest(client, { prompt: 'none' }).path)
  const error = new URL(url).searchParams.get('error')
  expect([null, 'login_required']).toContain(error)
  return error === null
}

/** Builds the address of an authorization request with PKCE, and the verifier for it. */
export function authorizationRequest(
  client: ClientMetadata,
  parameters: Record<string, string> = {},
): { path: string; verifier: string } {
  const verifier = randomBytes(32).toString('base64url')
  const { scope = 'openid' } = parameters
  const query = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: 'https://rp.example/cb',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(scope.includes('offline_access') && { prompt: 'consent' }), // OIDC Core §11
    ...parameters,
    scope,
  })
  return { path: `/oauth/authorize?${query}`, verifier }
}

/** Signs in and consents as asked, until the browser is back at the relying party or at a final page. */
export async function proceed(visitor: Visitor, page: Page, email: string): Promise<Page> {
  let current = page
  for (let step = 0; step < 4 && current.url.includes('/interaction/'); step++) {
    current = current.body.includes('name="password"')
      ? await visitor.signIn(current, email)
      : await visitor.allow(current)
  }
  return current
}

/** Gets an authorization code, through whatever pages come first. */
export async function getCode(
  visitor: Visitor,
  client: ClientMetadata,
  { email, ...parameters }: { email: string; [parameter: string]: string },
): Promise<Code> {
  const { path, verifier } = authorizationRequest(client, parameters)
  const { url } = await proceed(visitor, await visitor.get(path), email)
  const code = new URL(url).searchParams.get('code')
  if (!code) throw new Error(`no code came of ${url}`)
  return { code, verifier }
}

export type Tokens = { accessToken: string; refreshToken: string | undefined }

export function tokensOf({ json }: Answer): Tokens {
  return {
    accessToken: String(json['access_token']),
    refreshToken: typeof json['refresh_token'] === 'string' ? json['refresh_token'] : undefined,
  }
}

/** Performs a whole login, by default one with a refresh token. */
export async function login(
  server: Reachable,
  client: ClientMetadata,
  {
    email,
    visitor = browserAt(server),
    scope = 'openid offline_access',
    resource,
  }: { email: string; visitor?: Visitor; scope?: string; resource?: string },
): Promise<{ accessToken: string; refreshToken: string; visitor: Visitor; code: Code }> {
  const code = await getCode(visitor, client, { email, scope, ...(resource && { resource }) })
  const form = { grant_type: 'authorization_code', code: code.code, code_verifier: code.verifier }
  const answer = await token(server, client, {
    ...form,
    redirect_uri: 'https://rp.example/cb',
    ...(resource && { resource }),
  })
  if (answer.status !== 200) throw new Error(`the login failed: ${answer.text}`)
  return {
    accessToken: String(answer.json['access_token']),
    refreshToken: String(answer.json['refresh_token']),
    visitor,
    code,
  }
}

/** Opens the sign-out page, and returns a function that ends the session. */
export async function beginLogout(visitor: Visitor): Promise<() => Promise<Page>> {
  const page = await visitor.get('/oauth/logout')
  return () => visitor.submit(page, '/logout/confirm', { logout: 'yes' })
}

/** Tells whether one process reports a token as active by introspection (RFC 7662 §2.2). */
export async function isActive(server: ServerProcess, client: ClientMetadata, value: string): Promise<boolean> {
  const { status, json } = await call(server, '/oauth/introspect', { client, form: { token: value } })
  expect(status).toBe(200)
  return json['active'] === true
}

/** Tells whether userinfo at one process accepts a token. */
export async function opensUserinfo(server: ServerProcess, value: string): Promise<boolean> {
  const { status } = await call(server, '/oauth/userinfo', { token: value })
  expect([200, 401]).toContain(status)
  return status === 200
}

/** Asserts that no process accepts any of these tokens. */
export async function expectDead(
  fleet: Fleet,
  client: ClientMetadata,
  tokens: { accessTokens: string[]; refreshTokens: string[] },
): Promise<void> {
  for (const server of fleet.processes) {
    for (const value of [...tokens.accessTokens, ...tokens.refreshTokens]) {
      expect(await isActive(server, client, value)).toBe(false)
    }
    for (const value of tokens.accessTokens) expect(await opensUserinfo(server, value)).toBe(false)
    for (const value of tokens.refreshTokens) {
      expect(await refresh(server, client, value)).toMatchObject({ status: 400, error: 'invalid_grant' })
    }
  }
}

/** Asserts that no process logged an error. */
export function expectNoFailures({ processes }: Fleet): void {
  const failures = processes.flatMap(({ output }) => output.filter((line) => /"level":[56]0/.test(line)))
  expect(failures).toEqual([])
}
