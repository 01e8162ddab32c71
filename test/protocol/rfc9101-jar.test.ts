import { SignJWT, UnsecuredJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { completeLogin, discover, visit } from '../support/relying-party.ts'
import { answerOf, createKey } from '../support/wire.ts'

const email = 'ada@example.com'
const verifier = oidc.randomPKCECodeVerifier()
let postern: TestPostern
let client: ClientMetadata
let key: CryptoKey
let request: Record<string, unknown>

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  const { key: made, jwks } = await createKey()
  key = made
  client = await postern.createClient({ jwks, request_object_signing_alg: 'ES256' })
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
afterAll(() => postern?.stop())

type Differing = { claims?: Record<string, unknown>; by?: CryptoKey; alg?: string; kid?: string }

function sign({ claims = {}, by = key, alg = 'ES256', kid = 'k1' }: Differing = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const payload = { iss: client.client_id, aud: postern.issuer, iat: now, exp: now + 60, ...request, ...claims }
  return new SignJWT(payload).setProtectedHeader({ alg, kid, typ: 'oauth-authz-req+jwt' }).sign(by)
}

const send = (jar: string, more: Record<string, string> = {}) =>
  visit(postern, `/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, request: jar, ...more })}`)

async function refused(jar: string, more?: Record<string, string>): Promise<string> {
  const { page } = await send(jar, more)
  expect(page.url).not.toContain('/interaction/')
  return answerOf(page.url)['error'] ?? /invalid_[a-z_]+/.exec(page.body)?.[0] ?? page.body
}

describe('RFC 9101 §5: a signed request object, by value', () => {
  test('leads to a login, made by openid-client', async () => {
    const config = await discover(postern, client)
    const { client_id: _, ...parameters } = request
    const url = await oidc.buildAuthorizationUrlWithJAR(config, parameters as Record<string, string>, {
      key,
      kid: 'k1',
    })
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request'])
    const callback = await completeLogin(await visit(postern, url), email)
    const checks = { pkceCodeVerifier: verifier, expectedState: 'signed' }
    expect((await oidc.authorizationCodeGrant(config, callback, checks)).id_token).toBeTruthy()
  })

  test('§6.3: overrides every parameter beside it', async () => {
    const begun = await send(await sign(), {
      redirect_uri: 'https://rp.example/cb',
      state: 'beside',
      scope: 'openid email',
    })
    expect(answerOf(await completeLogin(begun, email))['state']).toBe('signed')
  })

  test('§10.8 of RFC 9126: can be pushed', async () => {
    const config = await discover(postern, client)
    const jar = { request: await sign(), client_id: client.client_id }
    const url = await oidc.buildAuthorizationUrlWithPAR(config, jar)
    expect(answerOf(await completeLogin(await visit(postern, url), email))).toHaveProperty('code')
  })
})

describe('RFC 9101 §6: a request object', () => {
  test('is rejected if it is unsigned', async () => {
    const now = Math.floor(Date.now() / 1000)
    const claims = { ...request, iss: client.client_id, aud: postern.issuer, exp: now + 60 }
    expect(await refused(new UnsecuredJWT(claims).encode())).toBe('invalid_request_object')
  })

  test('is rejected if it is signed with another key, registered or not', async () => {
    const stranger = await createKey()
    expect(await refused(await sign({ by: stranger.key }))).toBe('invalid_request_object')
    expect(await refused(await sign({ by: stranger.key, kid: 'other' }))).toBe('invalid_request_object')
  })

  test('is rejected if it is signed with another algorithm than the client registered', async () => {
    const rsa = await createKey('RS256')
    expect(await refused(await sign({ by: rsa.key, alg: 'RS256' }))).toBe('invalid_request_object')
  })

  test('is rejected if it is signed with the client secret', async () => {
    const by = await crypto.subtle.importKey(
      'raw',
      new TextEncoder().encode(String(client['client_secret'])),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['sign'],
    )
    expect(await refused(await sign({ by, alg: 'HS256' }))).toBe('invalid_request_object')
  })

  test('is rejected if it was changed after it was signed', async () => {
    const [header, payload, signature] = (await sign()).split('.')
    const claims = JSON.parse(Buffer.from(String(payload), 'base64url').toString())
    const forged = Buffer.from(JSON.stringify({ ...claims, scope: 'openid email' })).toString('base64url')
    expect(await refused(`${header}.${forged}.${signature}`)).toBe('invalid_request_object')
  })

  test.each<[string, Record<string, unknown>]>([
    ['is for another server', { aud: 'https://other.example' }],
    ['is from another client', { iss: 'somebody-else' }],
    ['has expired', { exp: 1 }],
    ['is not valid yet', { nbf: Math.floor(Date.now() / 1000) + 600 }],
    ['contains a request', { request: 'x' }],
    ['contains a request_uri', { request_uri: 'https://rp.example/request.jwt' }],
    ['names another client', { client_id: 'somebody-else' }],
  ])('is rejected if it %s', async (_why, claims) => {
    expect(await refused(await sign({ claims }))).toBe('invalid_request_object')
  })

  test('is rejected if its redirect_uri is not registered, with a page and never a redirect', async () => {
    const { page } = await send(await sign({ claims: { redirect_uri: 'https://evil.example/cb' } }))
    expect([page.status, new URL(page.url).origin]).toEqual([400, postern.issuer])
  })

  test('is rejected if it lacks the PKCE challenge, which does not count beside it', async () => {
    const claims = { code_challenge: undefined, code_challenge_method: undefined }
    const more = { code_challenge: String(request['code_challenge']), code_challenge_method: 'S256' }
    expect(await refused(await sign({ claims }), more)).toBe('invalid_request')
  })

  test('is rejected if it is sent by reference, and then nothing is fetched', async () => {
    const query = new URLSearchParams({ client_id: client.client_id, request_uri: 'https://rp.example/request.jwt' })
    const { page } = await visit(postern, `/oauth/authorize?${query}`)
    expect(page.body).toContain('request_uri_not_supported')
  })

  test('is rejected if it is nonsense', async () => {
    expect(await refused('nonsense')).toBe('invalid_request_object')
  })
})

describe('RFC 9101 §10.5: require_signed_request_object', () => {
  test('makes any other request of the client fail', async () => {
    const { jwks } = await createKey()
    const strict = await postern.createClient({ jwks, require_signed_request_object: true })
    const config = await discover(postern, strict)
    const { client_id: _, ...parameters } = request
    const { page } = await visit(postern, oidc.buildAuthorizationUrl(config, parameters as Record<string, string>))
    expect(answerOf(page.url)).toMatchObject({ error: 'invalid_request' })
  })
})
