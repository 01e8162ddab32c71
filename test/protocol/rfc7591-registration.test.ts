import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients.ts'
import { operate } from '../support/operator.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import { createReceiver } from '../support/receiver.ts'
import { discover, login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { age, createKey, knock, send } from '../support/wire.ts'

const email = 'ada@example.com'
const redirect_uris = ['https://rp.example/cb']
let postern: TestPostern
let bearer: string

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
})
beforeEach(async () => {
  bearer = await createToken()
})
afterAll(() => postern?.stop())

async function createToken(): Promise<string> {
  const made = (await operate(postern, 'registration-token create', {})) as Record<string, string>
  return String(made['initial_access_token'])
}

const register = (body: unknown, token: string | undefined = bearer) =>
  send(postern, '/oauth/register', { ...(token && { bearer: token }), body })

type Registered = ClientMetadata & { registration_access_token: string; registration_client_uri: string }
const registered = async (metadata: Record<string, unknown> = {}) => {
  const { status, json } = await register({ client_name: 'Self-made', redirect_uris, ...metadata })
  expect(status).toBe(201)
  return json as Registered
}

const manage = (client: Registered, method: string, body?: unknown, token = client.registration_access_token) =>
  send(postern, new URL(client.registration_client_uri).pathname, {
    method,
    bearer: token,
    ...(body !== undefined && { body }),
  })

describe('RFC 7591 §3: registration needs an initial access token', () => {
  test('without one, with a wrong one or an expired one it is a 401', async () => {
    const expired = bearer
    await age(postern, 'InitialAccessToken', 90_000)
    for (const token of ['', 'unknown', expired, expired.slice(0, -1)]) {
      const { status, json, headers } = await register({ redirect_uris }, token)
      expect([token, status, json['client_id']]).toEqual([token, 401, undefined])
      expect(headers.get('www-authenticate')).toMatch(/^Bearer /)
    }
  })

  test('a token of another kind is not one', async () => {
    const client = await postern.createClient()
    const { tokens } = await login(postern, client, { email })
    expect((await register({ redirect_uris }, tokens.access_token)).status).toBe(401)
    const self = await registered()
    expect((await register({ redirect_uris }, self.registration_access_token)).status).toBe(401)
  })

  test('with one openid-client registers, and can be used to sign in', async () => {
    const config = await oidc.dynamicClientRegistration(new URL(postern.issuer), { redirect_uris }, undefined, {
      initialAccessToken: bearer,
      execute: [oidc.allowInsecureRequests],
    })
    const metadata = config.clientMetadata() as unknown as ClientMetadata
    const { tokens } = await login(postern, metadata, { email, config })
    expect(tokens.id_token).toBeTruthy()
  })

  test('§3.2.1: the answer has an id, a secret, and where to manage them', async () => {
    const { status, json, headers } = await register({ redirect_uris, client_name: 'Self-made' })
    expect(status).toBe(201)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(json).toMatchObject({
      client_id: expect.any(String),
      client_secret: expect.stringMatching(/^.{43,}$/),
      client_secret_expires_at: 0,
      client_id_issued_at: expect.any(Number),
      registration_access_token: expect.any(String),
      registration_client_uri: `${postern.issuer}/oauth/register/${json['client_id']}`,
      client_name: 'Self-made',
      redirect_uris,
    })
  })

  test('a public client has no secret, and an id of its own choosing is not taken', async () => {
    const app = await registered({ token_endpoint_auth_method: 'none', client_id: 'mine', client_secret: 'mine' })
    expect(app).not.toHaveProperty('client_secret')
    expect(app.client_id).not.toBe('mine')
    expect((await registered({ client_secret: 'mine' }))['client_secret']).not.toBe('mine')
  })

  test('consent says that nobody has reviewed it', async () => {
    const config = await discover(postern, await registered())
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: String(redirect_uris[0]),
      scope: 'openid',
      code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
      code_challenge_method: 'S256',
    })
    const visitor = createVisitor(postern.issuer)
    const consent = await visitor.signIn(await visitor.get(url.href), email)
    expect(consent.body).toContain('Nobody here has reviewed this app')
  })
})

// What a client may not register, and may not change itself into.
const forbidden: [string, Record<string, unknown>][] = [
  ['plain http', { redirect_uris: ['http://rp.example/cb'] }],
  ['user information', { redirect_uris: ['https://good.example@evil.example/cb'] }],
  ['empty user information', { redirect_uris: ['https://@evil.example/cb'] }],
  ['a fragment', { redirect_uris: ['https://rp.example/cb#here'] }],
  ['an empty fragment', { redirect_uris: ['https://rp.example/cb#'] }],
  ['a wildcard', { redirect_uris: ['https://*.rp.example/cb'] }],
  ['an IPv4 address', { redirect_uris: ['https://203.0.113.7/cb'] }],
  ['an IPv4 address in disguise', { redirect_uris: ['https://0xcb007107/cb'] }],
  ['an IPv6 address', { redirect_uris: ['https://[2001:db8::1]/cb'] }],
  ['javascript:', { redirect_uris: ['javascript:alert(1)'] }],
  ['data:', { redirect_uris: ['data:text/html,x'] }],
  ['a private-use scheme in a web client', { redirect_uris: ['com.example.app:/cb'] }],
  ['a scheme without a dot', { application_type: 'native', redirect_uris: ['myapp:/cb'] }],
  ['a relative URI', { redirect_uris: ['/cb'] }],
  ['no URI', { redirect_uris: [''] }],
  ['none at all', { redirect_uris: [] }],
  ['one bad among good', { redirect_uris: [...redirect_uris, 'http://rp.example/cb'] }],
  ['too many', { redirect_uris: Array.from({ length: 21 }, (_, n) => `https://rp.example/${n}`) }],
  ['a bad post-logout URI', { post_logout_redirect_uris: ['http://rp.example/bye'] }],
  ['an address for its logo', { logo_uri: 'http://169.254.169.254/latest' }],
  ['an address for its keys', { jwks_uri: 'https://10.0.0.1/jwks', token_endpoint_auth_method: 'private_key_jwt' }],
  ['an address for its logout', { backchannel_logout_uri: 'https://192.168.1.1/logout' }],
  ['no PKCE', { require_pkce: false }],
  ['scopes it needs', { required_scopes: 'email' }],
  ['an unsigned ID token', { id_token_signed_response_alg: 'none' }],
  ['an implicit response', { response_types: ['id_token'], grant_types: ['implicit'] }],
  ['a grant that does not exist', { grant_types: ['password'] }],
  ['authentication that does not exist', { token_endpoint_auth_method: 'tls_client_auth' }],
  ['a scope that does not exist', { scope: 'openid everything' }],
  ['a scope of an API', { scope: 'read', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
  ['too much', { client_name: 'x'.repeat(20_000) }],
  [
    'client credentials without a secret',
    { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], token_endpoint_auth_method: 'none' },
  ],
]
const refusals = /^invalid_(redirect_uri|client_metadata|request)$/

describe('RFC 7591 §5: a client may not register', () => {
  test.each(forbidden)('%s', async (_what, metadata) => {
    const { status, json } = await register({ redirect_uris, ...metadata })
    expect([status, json['client_id']]).toEqual([metadata['client_name'] ? status : 400, undefined])
    expect([400, 413]).toContain(status)
    if (status === 400) expect(json['error']).toMatch(refusals)
  })

  test('something that is not a JSON object', async () => {
    for (const body of ['text', [], null, 7]) expect((await register(body)).status).toBe(400)
  })

  test('while a native app may use loopback and its own scheme (RFC 8252 §7)', async () => {
    const uris = ['http://127.0.0.1/cb', 'http://[::1]/cb', 'com.example.app:/cb']
    const app = await registered({
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: uris,
    })
    expect(app['redirect_uris']).toEqual(uris)
  })
})

describe('RFC 7592 §2: the client manages its registration', () => {
  test('§2.1: reads it', async () => {
    const client = await registered()
    const { status, json } = await manage(client, 'GET')
    expect([status, json['client_id'], json['client_name']]).toEqual([200, client.client_id, 'Self-made'])
  })

  test('§2.2: changes it, with a new registration access token in exchange for the old', async () => {
    const client = await registered()
    const { client_id } = client
    const update = { client_id, redirect_uris, client_name: 'Renamed' }
    const { status, json } = await manage(client, 'PUT', update)
    expect([status, json['client_name']]).toEqual([200, 'Renamed'])
    const next = String(json['registration_access_token'])
    expect(next).not.toBe(client.registration_access_token)
    expect((await manage(client, 'GET')).status).toBe(401)
    expect((await manage(client, 'PUT', update)).status).toBe(401)
    expect((await manage(client, 'GET', undefined, next)).json['client_name']).toBe('Renamed')
  })

  test('§2.2: what an update leaves out is removed, and a secret in use stays', async () => {
    const client = await registered({ client_uri: 'https://rp.example/' })
    const { json } = await manage(client, 'PUT', { client_id: client.client_id, redirect_uris })
    expect([json['client_uri'], json['client_name']]).toEqual([undefined, undefined])
    const { tokens } = await login(postern, client, { email })
    expect(tokens.access_token).toBeTruthy()
  })

  test.each(forbidden)('§2.2: does not change itself into one with %s', async (_what, metadata) => {
    const client = await registered()
    const { status, json } = await manage(client, 'PUT', { client_id: client.client_id, redirect_uris, ...metadata })
    expect([400, 413]).toContain(status)
    if (status === 400) expect(json['error']).toMatch(refusals)
    const unchanged = await manage(client, 'GET')
    expect([unchanged.status, unchanged.json['redirect_uris']]).toEqual([200, redirect_uris])
  })

  test('§2.2: does not change its id, nor its secret, nor what is the server’s', async () => {
    const client = await registered()
    const update = { client_id: client.client_id, redirect_uris }
    for (const wrong of [
      { ...update, client_id: 'another' },
      { redirect_uris },
      { ...update, client_secret: 'chosen' },
      { ...update, client_id_issued_at: 1 },
      { ...update, client_secret_expires_at: 1 },
      { ...update, registration_access_token: 'x' },
    ]) {
      expect((await manage(client, 'PUT', wrong)).status).toBe(400)
    }
  })

  test('§2.3: deletes it, and nothing of it works any more', async () => {
    const client = await registered({ grant_types: ['authorization_code', 'refresh_token'] })
    const { config, tokens } = await login(postern, client, { email, scope: 'openid offline_access' })
    expect((await manage(client, 'DELETE')).status).toBe(204)

    expect((await manage(client, 'GET')).status).toBe(401)
    await expect(oidc.refreshTokenGrant(config, String(tokens.refresh_token))).rejects.toMatchObject({ status: 401 })
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
    const query = new URLSearchParams({ client_id: client.client_id, response_type: 'code', scope: 'openid' })
    expect((await send(postern, `/oauth/authorize?${query}`)).status).toBe(400)
  })

  test('§2: not with a wrong token, and not with that of another client, which is then dead too', async () => {
    const [one, two] = [await registered(), await registered()]
    for (const method of ['GET', 'DELETE']) {
      expect((await manage(one, method, undefined, 'unknown')).status).toBe(401)
    }
    expect((await manage(one, 'GET', undefined, two.registration_access_token)).status).toBe(401)
    expect((await manage(two, 'GET')).status).toBe(401)
    expect((await manage(one, 'GET')).status).toBe(200)
  })

  test('a disabled client cannot read, change, delete or use its registration', async () => {
    const client = await registered()
    await operate(postern, 'client disable', { client_id: client.client_id })
    expect((await manage(client, 'GET')).status).toBe(401)
    expect((await manage(client, 'PUT', { client_id: client.client_id, redirect_uris })).status).toBe(401)
    expect((await manage(client, 'DELETE')).status).toBe(401)
  })

  test('a client that an administrator registered cannot be managed by anybody here', async () => {
    const client = await postern.createClient()
    for (const token of [bearer, String(client['client_secret'])]) {
      const { status } = await send(postern, `/oauth/register/${client.client_id}`, { bearer: token })
      expect(status).toBe(401)
    }
  })
})

describe('RFC 7591 §5: what a registration makes the server fetch', () => {
  const byKey = { token_endpoint_auth_method: 'private_key_jwt', redirect_uris }

  test('keys on loopback are fetched by a server that is itself on loopback', async () => {
    const { key, jwks } = await createKey()
    const receiver = await createReceiver({ body: jwks })
    try {
      const client = await registered({ ...byKey, jwks_uri: `${receiver.url}/jwks` })
      const { tokens } = await login(postern, client, {
        email,
        config: await discover(postern, client, oidc.PrivateKeyJwt({ key, kid: 'k1' })),
      })
      expect(tokens.access_token).toBeTruthy()
      expect(receiver.received.map(({ path }) => path)).toEqual(['/jwks'])
    } finally {
      await receiver.stop()
    }
  })

  test('a redirect is not followed', async () => {
    const { key } = await createKey()
    const inner = await createReceiver()
    const outer = await createReceiver({ status: 302, headers: { location: inner.url } })
    try {
      const client = await registered({ ...byKey, jwks_uri: `${outer.url}/jwks` })
      const config = await discover(postern, client, oidc.PrivateKeyJwt({ key, kid: 'k1' }))
      await expect(oidc.refreshTokenGrant(config, 'x')).rejects.toBeTruthy()
      expect([outer.received.length > 0, inner.received.length]).toEqual([true, 0])
    } finally {
      await Promise.all([outer.stop(), inner.stop()])
    }
  })

  test('a sector_identifier_uri that is not https, or does not answer, is refused (OpenID Connect Core §8.1)', async () => {
    const receiver = await createReceiver({ body: redirect_uris })
    try {
      const closed = `https://127.0.0.1:${await freePort()}/sector`
      for (const sector_identifier_uri of [`${receiver.url}/sector`, closed]) {
        const { status, json } = await register({ subject_type: 'pairwise', redirect_uris, sector_identifier_uri })
        expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
      }
      expect(receiver.received).toEqual([])
    } finally {
      await receiver.stop()
    }
  })

  test('nothing on loopback is fetched by, or registered at, a server that is not', async () => {
    const receiver = await createReceiver({ body: redirect_uris })
    const outside = await startPostern({ ISSUER: 'https://id.example' })
    try {
      const made = (await operate(outside, 'registration-token create', {})) as Record<string, string>
      const closed = `https://127.0.0.1:${new URL(receiver.url).port}`
      for (const metadata of [
        { sector_identifier_uri: `${closed}/sector`, subject_type: 'pairwise' },
        { jwks_uri: `${receiver.url}/jwks`, token_endpoint_auth_method: 'private_key_jwt' },
        { jwks_uri: `${closed}/jwks`, token_endpoint_auth_method: 'private_key_jwt' },
        { backchannel_logout_uri: `${receiver.url}/logout` },
        { redirect_uris: ['http://127.0.0.1/cb'] },
        { redirect_uris: ['http://localhost/cb'] },
      ]) {
        const { status, json } = await knock(outside.server.port, '/oauth/register', {
          method: 'POST',
          headers: {
            host: 'id.example',
            authorization: `Bearer ${made['initial_access_token']}`,
            'content-type': 'application/json',
          },
          body: JSON.stringify({ redirect_uris, ...metadata }),
        })
        expect([metadata, status, json['client_id']]).toEqual([metadata, 400, undefined])
      }

      // An administrator may register such keys; they are not fetched either.
      const { key, jwks } = await createKey()
      const ownKeys = await createReceiver({ body: jwks })
      const client = await outside.createClient({ ...byKey, jwks_uri: `${ownKeys.url}/jwks` })
      const now = Math.floor(Date.now() / 1000)
      const client_assertion = await new SignJWT({ aud: 'https://id.example', jti: randomUUID(), exp: now + 60 })
        .setIssuer(client.client_id)
        .setSubject(client.client_id)
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .sign(key)
      const answer = await knock(outside.server.port, '/oauth/token', {
        method: 'POST',
        headers: { host: 'id.example', 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          refresh_token: 'x',
          client_assertion,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        }).toString(),
      })
      expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client'])
      expect([...receiver.received, ...ownKeys.received]).toEqual([])
      await ownKeys.stop()
    } finally {
      await Promise.all([receiver.stop(), outside.stop()])
    }
  })
})
