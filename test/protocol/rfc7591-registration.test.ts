import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { errorAbout, forbidden } from '../support/forbidden-metadata.ts'
import { idTokenMetadata } from '../support/id-tokens.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createPolicy, createToken, redirect_uris, register, registered } from '../support/registration.ts'
import { discover, login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
let postern: TestPostern
let bearer: string

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
})
beforeEach(async () => {
  bearer = await createToken(postern)
})
afterAll(() => postern?.stop())

const clientsThere = async () => Number((await postern.database.query('select count(*) from clients'))[0]?.['count'])

describe('RFC 7591 §3: registration with an initial access token', () => {
  test('is rejected with a 401 if the token is missing, wrong, expired or revoked', async () => {
    const expired = await createToken(postern)
    await postern.database.query(`update registration_tokens set expires_at = now() - interval '1 s'`)
    const revoked = await createToken(postern)
    const [{ id } = {}] = await postern.database.query('select id from registration_tokens order by created_at desc')
    await operate(postern, 'registration-token revoke', { id })
    const before = await clientsThere()
    for (const token of [undefined, 'unknown', expired, revoked, `${await createToken(postern)}x`]) {
      const { status, json, headers } = await register(postern, { redirect_uris }, token)
      expect([token, status, json['client_id']]).toEqual([token, 401, undefined])
      expect(headers.get('www-authenticate')).toMatch(/^Bearer /)
      expect(headers.get('cache-control')).toBe('no-store')
    }
    expect(await clientsThere()).toBe(before)
  })

  test('does not accept a token of another kind, or the ID of a token', async () => {
    const client = await postern.createClient()
    const { tokens } = await login(postern, client, { email })
    const self = await registered(postern, bearer)
    const [{ id } = {}] = await postern.database.query('select id from registration_tokens')
    for (const other of [tokens.access_token, self.registration_access_token, String(id)]) {
      expect((await register(postern, { redirect_uris }, other)).status).toBe(401)
    }
  })

  test('does not accept a token in the query or the body, where it would be logged (RFC 6750 §2.3)', async () => {
    const byQuery = await send(postern, `/oauth/register?access_token=${bearer}`, { body: { redirect_uris } })
    expect(byQuery.status).toBe(400)
    const byBody = await register(postern, { redirect_uris, access_token: bearer })
    expect(byBody.status).toBe(401)
  })

  test('creates two clients with a token for two, and does not count rejected requests', async () => {
    const token = await createToken(postern, { uses: 2 })
    expect((await register(postern, { redirect_uris: ['http://rp.example/cb'] }, token)).status).toBe(400)
    expect((await register(postern, 'no object', token)).status).toBe(400)
    await registered(postern, token)
    await registered(postern, token)
    const { status, json } = await register(postern, { redirect_uris }, token)
    expect([status, json['error']]).toEqual([401, 'invalid_token'])
  })

  test('lets openid-client register and sign in', async () => {
    const config = await oidc.dynamicClientRegistration(
      new URL(postern.issuer),
      { redirect_uris, ...idTokenMetadata },
      undefined,
      {
        initialAccessToken: bearer,
        execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
      },
    )
    const metadata = config.clientMetadata() as unknown as ClientMetadata
    const { tokens } = await login(postern, metadata, { email, config })
    expect(tokens.id_token).toBeTruthy()
  })

  test('§3.2.1: answers with an ID, a secret, and the address to manage them', async () => {
    const { status, json, headers } = await register(postern, { redirect_uris, client_name: 'Self-made' }, bearer)
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

  test('§3.2.1: answers with all metadata in effect, including the server’s defaults', async () => {
    const { json } = await register(postern, { redirect_uris, client_uri: null }, bearer)
    expect(json).toMatchObject({
      application_type: 'web',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'RS256',
    })
    expect(json).not.toHaveProperty('client_uri')
  })

  test('§2: ignores unknown members, and registers API scopes', async () => {
    const client = await registered(postern, bearer, { scope: 'openid read write', 'client_name#de': 'x', unheard: {} })
    expect(client['scope']).toBe('openid read write')
    expect(client).not.toHaveProperty('unheard')
    const [row] = await postern.database.query('select metadata from clients where id = $1', [client.client_id])
    expect(row?.['metadata']).toMatchObject({ scope: 'openid read write' })
  })

  test('gives a public client no secret, and ignores an ID that the client chose', async () => {
    const chosen = { client_id: 'mine', client_secret: 'mine' }
    const app = await registered(postern, bearer, { token_endpoint_auth_method: 'none', ...chosen })
    expect(app).not.toHaveProperty('client_secret')
    expect(app.client_id).not.toBe('mine')
    expect((await registered(postern, bearer, chosen))['client_secret']).not.toBe('mine')
  })

  test('makes the consent page say that nobody has reviewed the app', async () => {
    const config = await discover(postern, await registered(postern, bearer))
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

describe('RFC 7591 §5: a client', () => {
  test.each(forbidden)('cannot register %s', async (_what, field, metadata) => {
    const { status, json } = await register(postern, { redirect_uris, ...metadata }, bearer)
    expect([status, json['error'], json['client_id']]).toEqual([400, errorAbout(field), undefined])
    expect(json['error_description']).toContain(field)
  })

  test('cannot register something that is not a JSON object', async () => {
    for (const body of ['text', [], null, 7]) expect((await register(postern, body, bearer)).status).toBe(400)
  })

  test('cannot register an invalid address by repeating a member: the value that takes effect is judged', async () => {
    const [bad, fine] = ['"redirect_uris":["http://evil.example/cb"]', '"redirect_uris":["https://rp.example/cb"]']
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
    const ask = async (body: string) => {
      const answer = await fetch(`${postern.issuer}/oauth/register`, { method: 'POST', headers, body })
      return [answer.status, ((await answer.json()) as Record<string, unknown>)['redirect_uris']]
    }
    expect(await ask(`{${fine},${bad}}`)).toEqual([400, undefined])
    expect(await ask(`{${bad},${fine}}`)).toEqual([201, ['https://rp.example/cb']])
  })

  test.each<[string, object]>([
    [
      'an object where text belongs',
      { token_endpoint_auth_method: 'none', id_token_signed_response_alg: { toString: 1 } },
    ],
    ['text where a list belongs', { response_types: 'code' }],
    ['numbers where URIs belong', { subject_type: 'pairwise', redirect_uris: [7, 8] }],
    ['URIs from which no identifier can be derived', { subject_type: 'pairwise', redirect_uris: ['x', 'y'] }],
    ['a list that is an object', { redirect_uris: { length: 1 } }],
    ['a key set without keys', { jwks: {}, token_endpoint_auth_method: 'private_key_jwt' }],
    ['excessive nesting', { jwks: { keys: [JSON.parse(`{"kty":"EC","x":${'['.repeat(6e3)}${']'.repeat(6e3)}}`)] } }],
    ['a prototype', JSON.parse('{"__proto__":{"redirect_uris":["http://evil.example"]},"redirect_uris":[]}')],
  ])('cannot register with %s, which causes no server error', async (_what, metadata) => {
    const { status, json } = await register(postern, { redirect_uris, ...metadata }, bearer)
    expect([status, json['client_id']]).toEqual([400, undefined])
    expect(json['error']).toMatch(/^invalid_(redirect_uri|client_metadata)$/)
  })

  test('cannot register a forbidden scope by repeating the member: the judged value is stored (RFC 8259 §4)', async () => {
    const ask = async (members: string) => {
      const response = await fetch(`${postern.issuer}/oauth/register`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: `{"redirect_uris":["https://rp.example/cb"],${members}}`,
      })
      return { status: response.status, json: (await response.json()) as Record<string, unknown> }
    }
    expect((await ask('"scope":"openid","scope":"openid postern:clients"')).status).toBe(400)
    const { status, json } = await ask('"scope":"openid postern:clients","scope":"openid"')
    const [row] = await postern.database.query('select metadata from clients where id = $1', [json['client_id']])
    expect([status, json['scope'], row?.['metadata']]).toMatchObject([201, 'openid', { scope: 'openid' }])
    expect(JSON.stringify(row)).not.toContain('postern:')
  })

  test('can register loopback and its own scheme if it is a native app (RFC 8252 §7)', async () => {
    const uris = ['http://127.0.0.1/cb', 'http://[::1]/cb', 'com.example.app:/cb']
    const app = await registered(postern, bearer, {
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: uris,
    })
    expect(app['redirect_uris']).toEqual(uris)
  })
})

describe('RFC 7591 §3: an initial access token', () => {
  test('determines the policy and the lifetime of its clients, which store its ID', async () => {
    const token = await createPolicy(postern, 'short', { client_ttl_seconds: 600, unused_ttl_seconds: 60 })
    const { client_id } = await registered(postern, token)
    const [row] = await postern.database.query(
      `select c.dynamic, c.policy, t.uses, extract(epoch from c.expires_at - c.created_at)::int as lives,
         extract(epoch from c.unused_expires_at - c.created_at)::int as waits
       from clients c join registration_tokens t on t.id = c.registration_token_id where c.id = $1`,
      [client_id],
    )
    expect(row).toEqual({ dynamic: true, policy: 'short', uses: 1, lives: 600, waits: 60 })
  })

  test('creates no more clients than its policy has room for, and a rejected one does not use it up', async () => {
    const token = await createPolicy(postern, 'narrow', { max_clients: 1 })
    const first = await registered(postern, token)
    const { status, json } = await register(postern, { redirect_uris }, token)
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
    expect(json['error_description']).toMatch(/\(max_clients\)$/)
    await operate(postern, 'client delete', { client_id: first.client_id })
    await registered(postern, token)
    const [row] = await postern.database.query(`select uses from registration_tokens where policy = 'narrow'`)
    expect(row).toEqual({ uses: 2 })
  })

  test('allows nothing after its policy is deleted', async () => {
    const token = await createPolicy(postern, 'fleeting', {})
    await postern.database.query(`delete from registration_policies where name = 'fleeting'`)
    const { status, json } = await register(postern, { redirect_uris }, token)
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
  })
})
