import { randomUUID } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { discover } from '../support/relying-party.ts'
import { basic, createKey, send } from '../support/wire.ts'

const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
let postern: TestPostern
let client: ClientMetadata
let other: ClientMetadata
let key: CryptoKey

beforeAll(async () => {
  postern = await startPostern()
  const { key: made, jwks } = await createKey()
  key = made
  const metadata = { ...machine, token_endpoint_auth_method: 'private_key_jwt', jwks }
  client = await postern.createClient(metadata)
  other = await postern.createClient({ ...metadata, jwks: (await createKey()).jwks })
})
afterAll(() => postern?.stop())

const ask = (form: Record<string, string>, headers: Record<string, string> = {}) =>
  send(postern, '/oauth/token', { form: { grant_type: 'client_credentials', ...form }, headers })

type Differing = {
  claims?: Record<string, unknown>
  by?: CryptoKey | Uint8Array
  alg?: string
  kid?: string | undefined
}

function assertion({ claims = {}, by = key, alg = 'ES256', kid = 'k1' }: Differing = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const payload = {
    iss: client.client_id,
    sub: client.client_id,
    aud: postern.issuer,
    jti: randomUUID(),
    iat: now,
    exp: now + 60,
    ...claims,
  }
  return new SignJWT(payload).setProtectedHeader({ alg, ...(kid && { kid }) }).sign(by)
}

const present = (client_assertion: string, more: Record<string, string> = {}) =>
  ask({ client_assertion, client_assertion_type: assertionType, ...more })

async function expectRefused(client_assertion: string, more: Record<string, string> = {}): Promise<void> {
  const { status, json } = await present(client_assertion, more)
  expect([400, 401]).toContain(status)
  expect(json['error']).toMatch(/^invalid_(client|request)$/)
}

describe('OpenID Connect Core §9: client authentication', () => {
  test.each<[string, (secret: string) => oidc.ClientAuth]>([
    ['client_secret_basic', oidc.ClientSecretBasic],
    ['client_secret_post', oidc.ClientSecretPost],
    ['client_secret_jwt', oidc.ClientSecretJwt],
  ])('%s works, and a wrong secret is rejected', async (token_endpoint_auth_method, authenticate) => {
    const own = await postern.createClient({ ...machine, token_endpoint_auth_method })
    const good = await discover(postern, own, authenticate(String(own['client_secret'])))
    expect((await oidc.clientCredentialsGrant(good)).access_token).toBeTruthy()
    const bad = await discover(postern, own, authenticate('x'.repeat(64)))
    await expect(oidc.clientCredentialsGrant(bad)).rejects.toMatchObject({ status: 401 })
  })

  test.each(['ES256', 'RS256', 'PS256', 'Ed25519'])('private_key_jwt works with %s', async (alg) => {
    const made = await createKey(alg)
    const own = await postern.createClient({
      ...machine,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: alg,
      jwks: made.jwks,
    })
    const config = await discover(postern, own, oidc.PrivateKeyJwt({ key: made.key, kid: 'k1' }))
    expect((await oidc.clientCredentialsGrant(config)).access_token).toBeTruthy()
  })

  test('a client authenticates as registered: with its secret in either form, and never with less', async () => {
    const own = await postern.createClient(machine)
    const secret = String(own['client_secret'])
    expect((await ask({ client_id: own.client_id, client_secret: secret })).status).toBe(200)
    expect((await ask({ client_id: own.client_id })).json).not.toHaveProperty('access_token')
    const byKey = await ask({ client_id: client.client_id })
    const bySecret = await ask({ client_id: client.client_id, client_secret: secret })
    const headers = { authorization: basic(client.client_id, 'undefined') }
    for (const { status, json } of [byKey, bySecret, await ask({}, headers)]) {
      expect([status, json['error']]).toEqual([401, 'invalid_client'])
    }
    const claims = { iss: own.client_id, sub: own.client_id }
    await expectRefused(await assertion({ claims, by: new TextEncoder().encode(secret), alg: 'HS256', kid: undefined }))
  })

  test('RFC 6749 §2.3: two methods at once are rejected', async () => {
    const own = await postern.createClient(machine)
    const secret = String(own['client_secret'])
    const headers = { authorization: basic(own.client_id, secret) }
    const { status, json } = await ask({ client_id: own.client_id, client_secret: secret }, headers)
    expect([status, json['error']]).toEqual([400, 'invalid_request'])
  })

  test('a secret is decoded from its form encoding (RFC 6749 §2.3.1)', async () => {
    const own = await postern.createClient({ ...machine, client_secret: 'p%+ :&=-and-long-enough-to-be-a-secret' })
    const { status } = await ask({}, { authorization: basic(own.client_id, String(own['client_secret'])) })
    expect(status).toBe(200)
  })
})

describe('RFC 7523 §3: an assertion', () => {
  test('§3: may name this server by its issuer or its token endpoint', async () => {
    for (const aud of [postern.issuer, `${postern.issuer}/oauth/token`, [postern.issuer, 'https://other.example']]) {
      expect((await present(await assertion({ claims: { aud } }))).status).toBe(200)
    }
  })

  test.each<[string, Record<string, unknown>]>([
    ['for another server', { aud: 'https://other.example' }],
    ['without an audience', { aud: undefined }],
    ['for a longer address', { aud: 'http://localhost/extra' }],
    ['of another issuer', { iss: 'somebody-else' }],
    ['without an issuer', { iss: undefined }],
    ['about another subject', { sub: 'somebody-else' }],
    ['without a subject', { sub: undefined }],
    ['that has expired', { exp: Math.floor(Date.now() / 1000) - 60 }],
    ['that never expires', { exp: undefined }],
    ['that expires in more than an hour', { exp: Math.floor(Date.now() / 1000) + 3_700 }],
    ['that expires beyond the range of dates', { exp: 1e300 }],
    ['that is not valid yet', { nbf: Math.floor(Date.now() / 1000) + 600 }],
    ['without an identifier', { jti: undefined }],
  ])('%s is rejected', async (_why, claims) => expectRefused(await assertion({ claims })))

  test('§3: may be valid for an hour', async () => {
    const exp = Math.floor(Date.now() / 1000) + 3_590
    expect((await present(await assertion({ claims: { exp } }))).status).toBe(200)
  })

  test('about another client, signed by this one, is rejected', async () => {
    await expectRefused(await assertion({ claims: { iss: other.client_id, sub: other.client_id } }))
    await expectRefused(await assertion(), { client_id: other.client_id })
  })

  test('that is signed with another key or the wrong kind of key, or unsigned, is rejected', async () => {
    const stranger = await createKey()
    await expectRefused(await assertion({ by: stranger.key }))
    await expectRefused(await assertion({ by: stranger.key, kid: 'other' }))
    await expectRefused(await assertion({ by: new TextEncoder().encode('x'.repeat(64)), alg: 'HS256' }))
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: client.client_id,
      sub: client.client_id,
      aud: postern.issuer,
      jti: randomUUID(),
      exp: now + 60,
    }
    await expectRefused(new UnsecuredJWT(claims).encode())
    await expectRefused('nonsense')
  })

  test('that uses the published key as an HMAC secret is rejected', async () => {
    const text = new TextEncoder().encode(JSON.stringify((client['jwks'] as { keys: object[] }).keys[0]))
    await expectRefused(await assertion({ by: text, alg: 'HS256' }))
  })

  test('is accepted once, across all endpoints', async () => {
    const once = await assertion()
    expect((await present(once)).status).toBe(200)
    await expectRefused(once)
    const elsewhere = await send(postern, '/oauth/introspect', {
      form: { token: 'x', client_assertion: once, client_assertion_type: assertionType },
    })
    expect(elsewhere.status).toBe(401)
  })

  test('§2.2: of another type is rejected', async () => {
    const form = { client_assertion: await assertion(), client_assertion_type: 'urn:other' }
    expect((await ask(form)).json['error']).toBe('invalid_request')
    expect((await ask({ client_assertion: await assertion() })).json['error']).toBe('invalid_request')
  })
})
