import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT, UnsecuredJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { completeLogin, discover, visit } from '../support/relying-party.ts'
import { answerOf, createKey, send } from '../support/wire.ts'

const email = 'ada@example.com'
const verifier = oidc.randomPKCECodeVerifier()
let postern: TestPostern
let server: Server
let base: string
let client: ClientMetadata
let key: CryptoKey
let request: Record<string, string>
/** The answer at the client's address. */
let published: { status: number; body: string; location?: string }
let paths: string[] = []

beforeAll(async () => {
  server = createServer((asked, answer) => {
    paths.push(String(asked.url))
    const { status, body, location } = published
    answer.writeHead(status, { 'content-type': 'application/oauth-authz-req+jwt', ...(location && { location }) })
    answer.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  postern = await startPostern({ ALLOW_REQUEST_URI: 'true' })
  await postern.createAccount(email)
  const { key: made, jwks } = await createKey()
  key = made
  client = await postern.createClient({
    jwks,
    request_uris: [`${base}/request.jwt`, `${base}/other.jwt?of=this`, `${base}/moved.jwt`],
  })
  request = {
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid',
    state: 'signed',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
})
afterAll(async () => {
  await postern?.stop()
  await new Promise((resolve) => server.close(resolve))
})
beforeEach(async () => {
  paths = []
  published = { status: 200, body: await sign() }
})

function sign(claims: Record<string, unknown> = {}, by = key): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ iss: client.client_id, aud: postern.issuer, exp: now + 60, ...request, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .sign(by)
}

const open = (uri: string, more: Record<string, string> = {}, who = client) =>
  visit(
    postern,
    `/oauth/authorize?${new URLSearchParams({ client_id: who.client_id, request_uri: uri, scope: 'openid', response_type: 'code', ...more })}`,
  )

/** Returns the error that a request ends with, on a page or at the client. */
async function refused(uri: string, more?: Record<string, string>, who?: ClientMetadata): Promise<string | undefined> {
  const { page } = await open(uri, more, who)
  return answerOf(page.url)['error'] ?? /(invalid_request_uri|invalid_[a-z_]+|request_uri_[a-z_]+)/.exec(page.body)?.[0]
}

describe('OpenID Connect Core §6.2, RFC 9101 §5.2: a request object by reference', () => {
  test('leads to a login, and is fetched once for it', async () => {
    const config = await discover(postern, client)
    const callback = await completeLogin(await open(`${base}/request.jwt`), email)
    const checks = { pkceCodeVerifier: verifier, expectedState: 'signed' }
    expect((await oidc.authorizationCodeGrant(config, callback, checks)).id_token).toBeTruthy()
    expect(paths).toEqual(['/request.jwt'])
  })

  test('may have any fragment after its registered address, which is not sent', async () => {
    const callback = await completeLogin(await open(`${base}/other.jwt?of=this#GkurKxf5T0Y`), email)
    expect(answerOf(callback)).toMatchObject({ state: 'signed', code: expect.any(String) })
    expect(paths).toEqual(['/other.jwt?of=this'])
  })

  test('is fetched again for each request', async () => {
    await completeLogin(await open(`${base}/request.jwt`), email)
    published.body = await sign({ state: 'changed' })
    expect(answerOf(await completeLogin(await open(`${base}/request.jwt`), email))['state']).toBe('changed')
  })

  test('is advertised, and only for registered addresses (Discovery §3)', async () => {
    for (const path of ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']) {
      const { json } = await send(postern, path)
      expect(json).toMatchObject({ request_uri_parameter_supported: true, require_request_uri_registration: true })
    }
  })
})

describe('invalid_request_uri', () => {
  test.each([
    ['that is not registered', () => `${base}/elsewhere.jwt`],
    ['with another query', () => `${base}/other.jwt?of=that`],
    ['below a registered one', () => `${base}/request.jwt/more`],
    ['that is not a URI', () => 'nonsense'],
  ])('is the answer for an address %s, and nothing is fetched', async (_what, uri) => {
    expect(await refused(uri())).toBe('invalid_request_uri')
    expect(paths).toEqual([])
  })

  test('is the answer for a client that registered no address', async () => {
    const other = await postern.createClient()
    expect(await refused(`${base}/request.jwt`, {}, other)).toBe('invalid_request_uri')
    expect(paths).toEqual([])
  })

  test.each<[string, () => typeof published]>([
    ['is longer than a request object may be', () => ({ status: 200, body: 'x'.repeat(17_000) })],
    ['is empty', () => ({ status: 200, body: '' })],
    ['is not found', () => ({ status: 404, body: published.body })],
  ])('is the answer when the document at the address %s', async (_what, answer) => {
    published = answer()
    expect(await refused(`${base}/request.jwt`, { state: 'outer', redirect_uri: 'https://rp.example/cb' })).toBe(
      'invalid_request_uri',
    )
    expect(paths).toEqual(['/request.jwt'])
  })
})

describe('a redirect', () => {
  test('is not followed', async () => {
    published = { status: 302, body: '', location: `${base}/request.jwt` }
    expect(await refused(`${base}/moved.jwt`)).toBe('invalid_request_uri')
    expect(paths).toEqual(['/moved.jwt'])
  })
})

describe('an unsigned request object by reference', () => {
  const unsigned = (claims: Record<string, unknown> = {}) =>
    new UnsecuredJWT({ ...request, iss: client.client_id, aud: postern.issuer, ...claims }).encode()
  const address = () => `${base}/request.jwt`

  test('replaces the parameters of the request', async () => {
    published.body = unsigned({
      state: 'unsigned',
      scope: 'openid email',
      max_age: 0,
      claims: { userinfo: { name: null } },
    })
    const begun = await open(address(), { state: 'of the request', max_age: '9999' })
    const url = await completeLogin(begun, email)
    expect(answerOf(url.href)).toMatchObject({ state: 'unsigned', code: expect.any(String) })
  })

  test.each<[string, () => Record<string, unknown>, string]>([
    ['an unregistered redirect_uri', () => ({ redirect_uri: 'https://evil.example/cb' }), 'invalid_redirect_uri'],
    ['another client', () => ({ client_id: 'somebody-else' }), 'invalid_request_object'],
    ['another response type', () => ({ response_type: 'id_token' }), 'invalid_request_object'],
    ['another issuer', () => ({ iss: 'somebody-else' }), 'invalid_request_object'],
    ['an expiry in the past', () => ({ exp: 1 }), 'invalid_request_object'],
    ['no PKCE', () => ({ code_challenge: '' }), 'invalid_request'],
    ['a scope that does not exist', () => ({ scope: 'nothing' }), 'invalid_scope'],
    ['invalid claims', () => ({ claims: 'x' }), 'invalid_request'],
  ])('is rejected with %s', async (_what, claims, error) => {
    published.body = unsigned(claims())
    expect(await refused(address())).toBe(error)
  })

  test.each<[string, Record<string, unknown>]>([
    ['that must sign', { require_signed_request_object: true }],
    ['that registered a signing algorithm', { request_object_signing_alg: 'ES256' }],
  ])('is rejected for a client %s', async (_what, metadata) => {
    const { jwks } = await createKey()
    const signer = await postern.createClient({ jwks, request_uris: [address()], ...metadata })
    published.body = unsigned({ client_id: signer.client_id, iss: signer.client_id })
    expect(await refused(address(), {}, signer)).toBe('invalid_request_object')
  })

  test('is not accepted by value', async () => {
    const query = new URLSearchParams({ ...request, request: unsigned() })
    const { page } = await visit(postern, `/oauth/authorize?${query}`)
    expect(answerOf(page.url)['error']).toBe('invalid_request_object')
  })
})

describe('a request object by reference is checked like one by value:', () => {
  test.each<[string, () => Promise<string> | string]>([
    ['nonsense', () => 'nonsense'],
    ['one with another key’s signature', async () => sign({}, (await createKey()).key)],
    ['an expired one', () => sign({ exp: 1 })],
    ['one with a request_uri inside', () => sign({ request_uri: `${base}/other.jwt` })],
    ['one of another client', () => sign({ client_id: 'somebody-else' })],
  ])('%s is an invalid_request_object', async (_what, body) => {
    published.body = await body()
    expect(await refused(`${base}/request.jwt`)).toBe('invalid_request_object')
  })

  test('it cannot be combined with one by value', async () => {
    expect(await refused(`${base}/request.jwt`, { request: await sign() })).toBe('invalid_request')
    expect(paths).toEqual([])
  })

  test('a client that must push its requests cannot use it', async () => {
    const { jwks } = await createKey()
    const strict = await postern.createClient({
      jwks,
      request_uris: [`${base}/request.jwt`],
      require_pushed_authorization_requests: true,
    })
    expect(await refused(`${base}/request.jwt`, {}, strict)).toBe('request_uri_not_supported')
    expect(paths).toEqual([])
  })
})

test('a network can cause only a limited number of fetches for a client in an hour', async () => {
  const { jwks } = await createKey()
  const busy = await postern.createClient({ jwks, request_uris: [`${base}/request.jwt`] })
  published = { status: 200, body: '' }
  for (let n = 0; n < 60; n++) await refused(`${base}/request.jwt`, {}, busy)
  expect(paths).toHaveLength(60)
  const { page } = await open(`${base}/request.jwt`, {}, busy)
  expect([page.status, paths.length]).toEqual([429, 60])
})
