import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, discover, login, refusal } from '../support/relying-party.ts'
import { basic, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
// §5.2 defines unauthorized_client for this. The engine uses invalid_request, and a client must stop after either.
const notAllowed = expect.stringMatching(/^(unauthorized_client|invalid_request)$/)
let postern: TestPostern
let a: ClientMetadata
let b: ClientMetadata
let open: ClientMetadata

beforeAll(async () => {
  postern = await startPostern({ REFRESH_TOKEN_REUSE_WINDOW_SECONDS: '0' })
  await postern.createAccount(email, { name: 'Ada Lovelace' })
  a = await postern.createClient()
  b = await postern.createClient()
  open = await postern.createClient({ token_endpoint_auth_method: 'none' })
  await postern.createResource({ identifier: 'https://api.example/', scopes: { read: 'Read', write: 'Write' } })
})
afterAll(() => postern?.stop())

const tokensOf = async (client: ClientMetadata, scope = 'openid profile offline_access') =>
  (await login(postern, client, { email, scope })).tokens

const refresh = (refresh_token: unknown, form: Record<string, string>, client?: ClientMetadata) =>
  send(postern, '/oauth/token', {
    client,
    form: { grant_type: 'refresh_token', refresh_token: String(refresh_token), ...form },
  })

describe('RFC 6749 §4.1.3: a code is bound to the client it was issued to:', () => {
  test.each([
    ['another confidential client', () => b],
    ['a public client', () => open],
  ])('%s cannot redeem it', async (_who, who) => {
    const begun = await authorize(postern, a, { email })
    const isPublic = who() === open
    const { status, json } = await redeem(postern, begun, isPublic ? { client_id: open.client_id } : { client: who() })
    expect([status, json['error']]).toEqual([400, 'invalid_grant'])
  })

  test('its client needs its secret', async () => {
    const begun = await authorize(postern, a, { email })
    for (const fields of [
      {},
      { client_id: a.client_id },
      { client_id: a.client_id, client_secret: 'wrong' },
      { client_id: a.client_id, client_secret: '' },
      { client: { ...a, client_secret: 'wrong' } },
      { client: { ...a, client_secret: String(b['client_secret']) } },
      { client: { ...b, client_secret: String(a['client_secret']) } },
    ]) {
      const { status, json } = await redeem(postern, begun, fields)
      expect([fields, json['access_token']]).toEqual([fields, undefined])
      expect([400, 401]).toContain(status)
      expect(json['error']).toMatch(/^invalid_(client|request)$/)
    }
    expect((await redeem(postern, begun, { client: a })).status).toBe(200)
  })

  test('§4.1.2: its second use is rejected and revokes what the first use issued', async () => {
    const begun = await authorize(postern, a, { email, scope: 'openid offline_access' })
    const first = await redeem(postern, begun, { client: a })
    const second = await redeem(postern, begun, { client: a })
    expect([second.status, second.json['error']]).toEqual([400, 'invalid_grant'])
    const { status } = await send(postern, '/oauth/userinfo', { bearer: String(first.json['access_token']) })
    expect(status).toBe(401)
    expect((await refresh(first.json['refresh_token'], {}, a)).json['error']).toBe('invalid_grant')
  })

  test('an unknown code and a truncated one are rejected', async () => {
    const begun = await authorize(postern, a, { email })
    const code = String(begun.callback.searchParams.get('code'))
    for (const wrong of ['unknown', code.slice(0, -1), `${code}A`, code.toUpperCase()]) {
      expect((await redeem(postern, begun, { client: a, code: wrong })).json['error']).toBe('invalid_grant')
    }
  })
})

describe('RFC 6749 §6: a refresh token is bound to the client it was issued to:', () => {
  test('it is rejected with the credentials of another client, with none, or with wrong ones', async () => {
    const { refresh_token } = await tokensOf(a)
    const attempts = [
      await refresh(refresh_token, {}, b),
      await refresh(refresh_token, { client_id: a.client_id }, b),
      await refresh(refresh_token, { client_id: b.client_id }, a),
      await refresh(refresh_token, { client_id: open.client_id }),
      await refresh(refresh_token, { client_id: a.client_id }),
      await refresh(refresh_token, {}),
      await refresh(refresh_token, { client_id: a.client_id, client_secret: 'wrong' }),
      await refresh(refresh_token, { client_id: a.client_id, client_secret: String(b['client_secret']) }),
      await refresh(refresh_token, { client_id: b.client_id, client_secret: String(b['client_secret']) }, a),
    ]
    for (const [n, { status, json }] of attempts.entries()) {
      expect([n, json['access_token'], json['refresh_token']]).toEqual([n, undefined, undefined])
      expect([400, 401]).toContain(status)
      expect(json['error']).toMatch(/^invalid_(client|grant|request)$/)
    }
    expect((await refresh(refresh_token, {}, a)).status).toBe(200)
  })

  test('a public client names itself, and another public client cannot use its token', async () => {
    const other = await postern.createClient({ token_endpoint_auth_method: 'none' })
    const { refresh_token } = await tokensOf(open)
    expect((await refresh(refresh_token, { client_id: other.client_id })).json['error']).toBe('invalid_grant')
    expect((await refresh(refresh_token, { client_id: open.client_id })).status).toBe(200)
  })

  test('§10.4: it is replaced at each use, and its second use revokes the whole login', async () => {
    const first = await tokensOf(a)
    const second = await refresh(first.refresh_token, {}, a)
    expect(second.json['refresh_token']).not.toBe(first.refresh_token)
    const again = await refresh(first.refresh_token, {}, a)
    expect([again.status, again.json['error']]).toEqual([400, 'invalid_grant'])
    expect((await refresh(second.json['refresh_token'], {}, a)).json['error']).toBe('invalid_grant')
    const { status } = await send(postern, '/oauth/userinfo', { bearer: String(second.json['access_token']) })
    expect(status).toBe(401)
  })

  test('a narrower scope is possible, and does not narrow the next refresh', async () => {
    const { refresh_token } = await tokensOf(a)
    const narrow = await refresh(refresh_token, { scope: 'openid' }, a)
    expect(narrow.json['scope']).toBe('openid')
    const userinfo = await send(postern, '/oauth/userinfo', { bearer: String(narrow.json['access_token']) })
    expect(Object.keys(userinfo.json)).toEqual(['sub'])
    const wide = await refresh(narrow.json['refresh_token'], {}, a)
    expect(String(wide.json['scope']).split(' ').sort()).toEqual(['offline_access', 'openid', 'profile'])
  })

  test('a wider scope is rejected', async () => {
    const { refresh_token } = await tokensOf(a)
    const { status, json } = await refresh(refresh_token, { scope: 'openid profile email' }, a)
    expect([status, json['error']]).toEqual([400, 'invalid_scope'])
  })

  test('an access token, a code or nonsense is rejected as a refresh token', async () => {
    const { access_token } = await tokensOf(a)
    for (const value of [access_token, 'unknown', '']) {
      const { status, json } = await refresh(value, {}, a)
      expect([value, status, json['access_token']]).toEqual([value, 400, undefined])
    }
  })

  test('a client that is not registered for the grant cannot use it', async () => {
    const codeOnly = await postern.createClient({ grant_types: ['authorization_code'] })
    const { status, json } = await refresh('anything', {}, codeOnly)
    expect([status, json['error'], json['access_token']]).toEqual([400, notAllowed, undefined])
    expect((await tokensOf(codeOnly, 'openid offline_access')).refresh_token).toBeUndefined()
  })
})

describe('RFC 6749 §4.4: client credentials', () => {
  test('yield a token of the client itself, with the requested scopes of its API', async () => {
    const client = await postern.createClient({ ...machine, scope: 'read write', resources: ['https://api.example/'] })
    const config = await discover(postern, client)
    const tokens = await oidc.clientCredentialsGrant(config, { scope: 'read', resource: 'https://api.example/' })
    expect(tokens).toMatchObject({ scope: 'read', token_type: 'bearer' })
    expect(tokens.refresh_token ?? tokens.id_token).toBeUndefined()
    expect(await oidc.tokenIntrospection(config, tokens.access_token)).toMatchObject({
      active: true,
      client_id: client.client_id,
      aud: 'https://api.example/',
      scope: 'read',
    })
  })

  test('are rejected for a scope that the client is not registered for', async () => {
    const resource = 'https://api.example/'
    const client = await postern.createClient({ ...machine, scope: 'read', resources: [resource] })
    const config = await discover(postern, client)
    expect(await refusal(oidc.clientCredentialsGrant(config, { scope: 'write', resource }))).toMatchObject({
      error: 'invalid_scope',
    })
  })

  test('are rejected for a resource that does not exist', async () => {
    const config = await discover(postern, await postern.createClient(machine))
    expect(await refusal(oidc.clientCredentialsGrant(config, { resource: 'https://no.example/' }))).toMatchObject({
      error: 'invalid_target',
      status: 400,
    })
  })

  test('are rejected for a public client and for one that is not registered for the grant', async () => {
    const ask = (client: ClientMetadata | undefined, form: Record<string, string> = {}) =>
      send(postern, '/oauth/token', { client, form: { grant_type: 'client_credentials', ...form } })
    expect((await ask(undefined, { client_id: open.client_id })).json['error']).toEqual(notAllowed)
    expect((await ask(a)).json['error']).toEqual(notAllowed)
    const secretless = { ...machine, token_endpoint_auth_method: 'none' }
    await expect(postern.createClient(secretless)).rejects.toThrow(/client_credentials|token_endpoint_auth_method/)
  })

  test('never open userinfo', async () => {
    const config = await discover(postern, await postern.createClient(machine))
    const { access_token } = await oidc.clientCredentialsGrant(config)
    expect((await send(postern, '/oauth/userinfo', { bearer: access_token })).status).toBe(401)
  })
})

describe('RFC 6749 §5: the token endpoint', () => {
  test('§5.1: forbids caching of what it issues', async () => {
    const client = await postern.createClient(machine)
    const { headers } = await send(postern, '/oauth/token', { client, form: { grant_type: 'client_credentials' } })
    expect(headers.get('cache-control')).toBe('no-store')
  })

  test('§5.2: answers any wrong credentials with the same 401 that names the scheme', async () => {
    const form = { grant_type: 'client_credentials' }
    const answers = await Promise.all(
      [basic(a.client_id, 'wrong'), basic('nobody', 'wrong')].map((authorization) =>
        send(postern, '/oauth/token', { form, headers: { authorization } }),
      ),
    )
    for (const { status, headers, json } of answers) {
      expect([status, json['error']]).toEqual([401, 'invalid_client'])
      expect(headers.get('www-authenticate')).toMatch(/^Basic /)
      expect(json).toEqual(answers[0]?.json)
    }
  })

  test('§5.2: rejects an unknown grant, a missing grant and a GET', async () => {
    const ask = (form: Record<string, string>) => send(postern, '/oauth/token', { client: a, form })
    expect((await ask({ grant_type: 'password', username: email, password: 'x' })).json['error']).toBe(
      'unsupported_grant_type',
    )
    expect((await ask({ x: 'y' })).json['error']).toBe('invalid_request')
    expect((await send(postern, '/oauth/token', { client: a })).status).toBe(405)
  })

  test('§3.2: rejects a repeated parameter', async () => {
    const form = { grant_type: 'client_credentials', scope: ['a', 'b'] }
    expect((await send(postern, '/oauth/token', { client: a, form })).json['error']).toBe('invalid_request')
  })

  test('§3.2.1: ignores credentials in the query', async () => {
    const query = new URLSearchParams({ client_id: a.client_id, client_secret: String(a['client_secret']) })
    const { json } = await send(postern, `/oauth/token?${query}`, { form: { grant_type: 'client_credentials' } })
    expect(json['error']).toMatch(/^invalid_(client|request)$/)
  })
})
