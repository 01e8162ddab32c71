import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { adminToken, call, createAdministrator } from '../../support/admin.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover, login } from '../../support/relying-party.ts'
import { type Answer, age, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const redirect_uris = ['https://rp.example/cb']

let postern: TestPostern
let administrator: ClientMetadata
let bearer: string

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  administrator = await createAdministrator(postern)
  bearer = await adminToken(postern, administrator)
})
afterAll(() => postern?.stop())

const kindOf = ({ json }: Answer) => String(json['type']).replace('urn:postern:problem:', '')
const challengeOf = ({ headers }: Answer) => headers.get('www-authenticate') ?? ''
const clientCount = async () => Number((await postern.database.query('select count(*) as n from clients'))[0]?.['n'])

describe('RFC 6750: the admin API', () => {
  test('rejects a request without a token, and reveals only where to get one (RFC 9728 §5.1)', async () => {
    const answer = await call(postern, '/clients', {})
    expect([answer.status, kindOf(answer)]).toEqual([401, 'unauthenticated'])
    expect(challengeOf(answer)).toContain(
      `resource_metadata="${postern.issuer}/.well-known/oauth-protected-resource/admin/api"`,
    )
    expect(challengeOf(answer)).not.toContain('error=')
  })

  test('rejects a token in the query or the body (RFC 6750 §2.2, §2.3)', async () => {
    expect((await call(postern, `/clients?access_token=${bearer}`, {})).status).toBe(401)
    const body = { access_token: bearer, redirect_uris }
    expect((await call(postern, '/clients', { method: 'POST', body })).status).toBe(401)
  })

  test('rejects a cookie of any session', async () => {
    const { visitor } = await login(postern, await postern.createClient(), { email })
    const page = await visitor.get(`${postern.issuer}/admin/api/accounts`)
    expect(page.status).toBe(401)
  })

  test.each([
    ['made up', 'x'.repeat(43)],
    ['truncated', () => bearer.slice(0, -1)],
    ['extended', () => `${bearer}x`],
    ['in another case', () => bearer.toUpperCase()],
  ])('rejects a token that is %s', async (_what, token) => {
    const answer = await call(postern, '/clients', { bearer: typeof token === 'string' ? token : token() })
    expect([answer.status, kindOf(answer)]).toEqual([401, 'invalid-token'])
    expect(challengeOf(answer)).toContain('error="invalid_token"')
  })

  test('rejects a token that is malformed or sent twice (RFC 6750 §2, §3.1)', async () => {
    const wrong = [
      ['Bearer', ''],
      [`Bearer ${bearer} x`, ''],
      [`Bearer "${bearer}"`, ''],
      [`Bearer ${bearer}`, `?access_token=${bearer}`],
    ]
    for (const [authorization = '', query] of wrong) {
      const answer = await call(postern, `/clients${query}`, { headers: { authorization } })
      expect([answer.status, kindOf(answer)]).toEqual([400, 'malformed-request'])
      expect(challengeOf(answer)).toMatch(/^Bearer .*error="invalid_request"$/)
    }
    expect((await call(postern, '/clients', { headers: { authorization: 'Basic eDp5' } })).status).toBe(401)
  })

  test('rejects a token for another API, or for none (RFC 8707 §2)', async () => {
    const resource = 'https://api.example/'
    await postern.createResource({ identifier: resource, scopes: { 'postern:clients': 'Pretend' } })
    for (const form of [{ resource, scope: 'postern:clients' }, {}]) {
      const { json } = await send(postern, '/oauth/token', {
        client: administrator,
        form: { grant_type: 'client_credentials', ...form },
      })
      const answer = await call(postern, '/clients', { bearer: String(json['access_token']) })
      expect([answer.status, kindOf(answer)]).toEqual([401, 'invalid-token'])
      expect(answer.json['detail']).toBeUndefined() // as for an unknown token
    }
  })

  test('rejects a token for an API with a very similar identifier', async () => {
    const own = new URL(`${postern.issuer}/admin/api`)
    const almost = [
      `${own}/`,
      `${own.origin}/ADMIN/API`,
      `${own.origin}/admin/ap%69`,
      `${own.origin}/admin/./api`,
      `HTTP://${own.host}/admin/api`,
      `https://${own.host}/admin/api`,
    ]
    for (const identifier of almost) {
      const body = { identifier, scopes: { 'postern:clients': 'Pretend' } }
      expect((await call(postern, '/resources', { bearer, body })).status, identifier).toBe(422)
      await postern.createResource({ identifier, scopes: { 'postern:clients': 'Pretend' } }) // as if it were accepted
    }
    await postern.restart() // makes it read the APIs again
    const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
    const client = await postern.createClient({ ...machine, scope: 'postern:clients', resources: almost })
    for (const identifier of almost) {
      const form = { grant_type: 'client_credentials', resource: identifier, scope: 'postern:clients' }
      const { status, json } = await send(postern, '/oauth/token', { client, form })
      const answer = await call(postern, '/clients', { bearer: String(json['access_token']) })
      expect([identifier, status, answer.status, kindOf(answer)]).toEqual([identifier, 200, 401, 'invalid-token'])
    }
  })

  test('rejects a token of a person, who cannot even request one', async () => {
    const client = await postern.createClient({ scope: 'openid postern:accounts' })
    const resource = `${postern.issuer}/admin/api`
    const config = await discover(postern, client)
    const { page } = await beginLogin(config, { issuer: postern.issuer, scope: 'openid postern:accounts', resource })
    expect(new URL(page.url).searchParams.get('error')).toBe('invalid_target')
    const { tokens } = await login(postern, client, { email })
    expect((await call(postern, '/accounts', { bearer: tokens.access_token })).status).toBe(401)
  })

  test('rejects a token that has expired', async () => {
    const token = await adminToken(postern, await createAdministrator(postern))
    expect((await call(postern, '/clients', { bearer: token })).status).toBe(200)
    await age(postern, 'ClientCredentials', 3_600)
    expect((await call(postern, '/clients', { bearer: token })).status).toBe(401)
    bearer = await adminToken(postern, administrator)
  })

  test.each(['disable', 'delete'])('rejects a token of a client after its %s', async (verb) => {
    const client = await createAdministrator(postern)
    const token = await adminToken(postern, client)
    await operate(postern, `client ${verb}`, { client_id: client.client_id })
    expect((await call(postern, '/clients', { bearer: token })).status).toBe(401)
  })

  test('sends no CORS headers to another origin', async () => {
    const headers = { origin: 'https://evil.example', 'access-control-request-headers': 'authorization' }
    for (const path of ['/clients', '/openapi.json']) {
      for (const method of ['GET', 'OPTIONS']) {
        const asked = { method, bearer, headers: { ...headers, 'access-control-request-method': 'GET' } }
        const answer = await call(postern, path, asked)
        const given = [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))
        expect([answer.status < 300, given]).toEqual([true, []])
      }
    }
  })
})

describe('RFC 9728: the admin API as a protected resource', () => {
  test('§3.1: states where its tokens come from, and its challenges point to that', async () => {
    const { headers } = await call(postern, '/clients', {})
    const [, address = ''] = /resource_metadata="([^"]+)"/.exec(headers.get('www-authenticate') ?? '') ?? []
    const { status, json } = await send(postern, new URL(address).pathname)
    expect(status).toBe(200)
    expect(json).toMatchObject({
      resource: `${postern.issuer}/admin/api`,
      authorization_servers: [postern.issuer],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: expect.arrayContaining(['ES256']),
    })
    expect(json['scopes_supported']).toContain('postern:clients:read')
  })
})

describe('RFC 6749 §3.3: a token does what its scope allows', () => {
  test('a token for reading reads and changes nothing', async () => {
    const token = await adminToken(postern, administrator, 'postern:clients:read')
    expect((await call(postern, '/clients', { bearer: token })).status).toBe(200)
    const answer = await call(postern, '/clients', { bearer: token, body: { redirect_uris } })
    expect([answer.status, kindOf(answer)]).toEqual([403, 'insufficient-scope'])
    expect(challengeOf(answer)).toMatch(/error="insufficient_scope", scope="postern:clients"$/)
  })

  test('a token for reading changes nothing, even if a header or parameter names another method', async () => {
    const token = await adminToken(postern, administrator, 'postern:clients:read')
    const { client_id } = await postern.createClient()
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
      expect(
        (await call(postern, `/clients/${client_id}`, { bearer: token, headers: { [name]: 'DELETE' } })).status,
      ).toBe(200)
    }
    expect((await call(postern, `/clients/${client_id}?_method=DELETE`, { bearer: token })).status).toBe(422)
    expect((await call(postern, `/clients/${client_id}`, { bearer: token })).status).toBe(200)
  })

  test('one statement checks everything that a token depends on', async () => {
    await call(postern, '/clients', { bearer }) // makes the client known
    postern.statements.splice(0)
    expect((await call(postern, '/clients?limit=1', { bearer })).status).toBe(200)
    const before = postern.statements.slice(
      0,
      postern.statements.findIndex((sql) => /^begin/i.test(sql)),
    )
    expect(before).toHaveLength(1)
  })

  test('a token for changing reads too', async () => {
    const token = await adminToken(postern, administrator, 'postern:clients')
    expect((await call(postern, '/clients', { bearer: token })).status).toBe(200)
    expect((await call(postern, '/accounts', { bearer: token })).status).toBe(403)
  })

  test('no token is issued without a scope', async () => {
    const form = { grant_type: 'client_credentials', resource: `${postern.issuer}/admin/api` }
    const { status, json } = await send(postern, '/oauth/token', { client: administrator, form })
    expect([status, json['error'], json['access_token']]).toEqual([400, 'invalid_scope', undefined])
  })

  test('a scope that is removed from a client no longer works in its tokens', async () => {
    const client = await createAdministrator(postern, 'postern:clients postern:audit')
    const token = await adminToken(postern, client)
    expect((await call(postern, '/audit', { bearer: token })).status).toBe(200)
    await operate(postern, 'client update', { client_id: client.client_id, scope: 'postern:clients' })
    const answer = await call(postern, '/audit', { bearer: token })
    expect([answer.status, kindOf(answer)]).toEqual([403, 'insufficient-scope'])
    expect((await call(postern, '/clients', { bearer: token })).status).toBe(200)
  })

  test('a client gets no scope that it is not registered for, and none that it does not name', async () => {
    const client = await createAdministrator(postern, 'postern:audit')
    await expect(adminToken(postern, client, 'postern:accounts')).rejects.toThrow('invalid_scope')
    const plain = await postern.createClient({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })
    await expect(adminToken(postern, plain, 'postern:audit')).rejects.toThrow('invalid_target')
  })
})

describe('an administrator', () => {
  let clerk: string
  let chief: ClientMetadata
  beforeAll(async () => {
    clerk = await adminToken(postern, administrator, 'postern:clients postern:registration')
    chief = await createAdministrator(postern, 'postern:accounts')
  })

  test.each<[string, () => [string, string, unknown]]>([
    ['registering a client with the scope', () => ['POST', '/clients', { scope: 'postern:accounts' }]],
    ['registering a client for every scope', () => ['POST', '/clients', { scope: 'postern:*' }]],
    [
      'giving a client another scope',
      () => ['PATCH', `/clients/${administrator.client_id}`, { scope: 'postern:audit' }],
    ],
    [
      'rotating the secret of a client that has the scope',
      () => ['POST', `/clients/${chief.client_id}/rotate-secret`, {}],
    ],
    [
      'choosing the secret of a client that has the scope',
      () => ['PUT', `/clients/${chief.client_id}/secret`, { client_secret: 'x'.repeat(40) }],
    ],
    [
      'choosing the keys of a client that has the scope',
      () => ['PATCH', `/clients/${chief.client_id}`, { jwks: { keys: [] } }],
    ],
    ['defining a policy', () => ['PUT', '/registration-policies/loose', { rules: { scopes: ['postern:*'] } }]],
    [
      'creating a registration token of the administrators’ policy',
      () => ['POST', '/registration-tokens', { policy: 'administrator' }],
    ],
  ])('cannot gain another scope by %s', async (_how, request) => {
    const [method, path, body] = request()
    const before = await clientCount()
    const answer = await call(postern, path, { method, bearer: clerk, body })
    expect([answer.status, kindOf(answer)], answer.text).toEqual([403, 'forbidden'])
    expect(await clientCount()).toBe(before)
    expect(await adminToken(postern, chief)).toBeTruthy()
  })

  test('cannot gain one by widening a policy for a moment (no client registers itself for the admin API)', async () => {
    const put = (rules: object) =>
      call(postern, '/registration-policies/administrator', { method: 'PUT', bearer: clerk, body: { rules } })
    expect((await put({ scopes: '*' })).status).toBe(200)
    const made = await call(postern, '/registration-tokens', { bearer: clerk, body: { policy: 'administrator' } })
    expect(made.status).toBe(201)
    await call(postern, '/registration-policies/administrator', { method: 'DELETE', bearer: clerk })
    const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
    const { status, json } = await send(postern, '/oauth/register', {
      bearer: String(made.json['initial_access_token']),
      body: { ...machine, scope: 'postern:accounts' },
    })
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
  })

  test('cannot gain one by moving a client that registered itself to the policy of administrators', async () => {
    const made = await call(postern, '/registration-tokens', { bearer: clerk, body: {} })
    const { json } = await send(postern, '/oauth/register', {
      bearer: String(made.json['initial_access_token']),
      body: { redirect_uris },
    })
    const id = String(json['client_id'])
    const moved = { method: 'PATCH', bearer: clerk, body: { policy: 'administrator' } }
    expect((await call(postern, `/clients/${id}`, moved)).status).toBe(200)
    const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
    const answer = await send(postern, `/oauth/register/${id}`, {
      method: 'PUT',
      bearer: String(json['registration_access_token']),
      body: { client_id: id, ...machine, scope: 'postern:accounts' },
    })
    expect([answer.status, answer.json['error']]).toEqual([400, 'invalid_client_metadata'])
  })

  test.each([
    'POSTERN:accounts',
    'postern:Accounts',
    'postern:accounts:write',
    'postern:accounts:',
    'postern:*',
    'postern%3Aaccounts',
    'postern\uff1aaccounts',
    'postern:accounts\u200b',
    'openid\tpostern:accounts',
    'openid\u00a0postern:accounts',
    ' postern:accounts',
    ['postern:accounts'],
  ])('cannot gain one by writing it as %j', async (scope) => {
    const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
    const made = await call(postern, '/clients', { bearer: clerk, body: { ...machine, scope } })
    if (made.status !== 201) return expect([403, 422]).toContain(made.status)
    await expect(adminToken(postern, made.json as ClientMetadata, 'postern:accounts')).rejects.toThrow('invalid_')
    await expect(adminToken(postern, made.json as ClientMetadata, String(scope))).rejects.toThrow('invalid_')
  })

  test('cannot gain one by repeating a privileged request with a lesser token', async () => {
    const headers = { 'idempotency-key': 'privileged' }
    const body = { scope: 'postern:accounts' }
    const made = await call(postern, '/clients', { bearer, body, headers })
    expect(made.status).toBe(201)
    const again = await call(postern, '/clients', { bearer: clerk, body, headers })
    expect([again.status, kindOf(again)]).toEqual([403, 'forbidden'])
  })

  test('cannot gain one by rotating the secret of a client that is about to get it', async () => {
    const client = await createAdministrator(postern, 'postern:clients:read')
    const change = operate(postern, 'client update', { client_id: client.client_id, scope: 'postern:accounts' })
    const answers = await Promise.all(
      Array.from({ length: 10 }, () =>
        call(postern, `/clients/${client.client_id}/rotate-secret`, { bearer: clerk, body: {} }),
      ),
    )
    await change
    const last = await call(postern, `/clients/${client.client_id}/rotate-secret`, { bearer: clerk, body: {} })
    expect(last.status).toBe(403)
    expect(new Set(answers.map(({ status }) => status)).isSubsetOf(new Set([200, 403]))).toBe(true)
  })

  test('cannot gain one by enabling a disabled client again', async () => {
    await operate(postern, 'client disable', { client_id: chief.client_id })
    const enable = () => call(postern, `/clients/${chief.client_id}/enable`, { bearer: clerk, method: 'POST' })
    expect((await enable()).status).toBe(403)
    await operate(postern, 'client enable', { client_id: chief.client_id })
  })

  test('can delegate their own scopes', async () => {
    const body = { scope: 'postern:clients:read' }
    expect((await call(postern, '/clients', { bearer: clerk, body })).status).toBe(201)
  })
})

describe('RFC 9457: the admin API', () => {
  const post = (body: unknown, headers = {}) => call(postern, '/clients', { bearer, body, headers })

  test('names the request, so that it can be found in the log', async () => {
    const answer = await call(postern, '/clients/nobody', { bearer })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.json).toMatchObject({
      type: 'urn:postern:problem:not-found',
      title: expect.any(String),
      status: 404,
      detail: 'There is no client nobody.',
      instance: `urn:postern:request:${answer.headers.get('x-request-id')}`,
    })
  })

  test.each<[string, number, string, unknown]>([
    ['a rule of the policy', 422, 'redirect_uris', { redirect_uris: ['http://rp.example/cb'] }],
    ['a type', 422, 'redirect_uris', { redirect_uris: 'https://rp.example/cb' }],
    ['a misspelled scope', 422, 'scope', { scope: 'postern:client' }],
    ['an unknown policy', 422, 'policy', { redirect_uris, policy: 'none' }],
  ])('names the field that violates %s', async (_what, status, field, body) => {
    const answer = await post(body)
    expect([answer.status, kindOf(answer)]).toEqual([status, 'invalid'])
    expect(answer.json['errors']).toMatchObject([{ field }])
  })

  test('rejects unknown members instead of ignoring a mistake', async () => {
    const answer = await post({ redirect_uri: 'https://rp.example/cb' })
    expect([answer.status, answer.json['errors']]).toMatchObject([422, [{ field: 'redirect_uri' }]])
    const unknown = await call(postern, '/clients?limt=1', { bearer })
    expect([unknown.status, unknown.json['errors']]).toMatchObject([422, [{ field: 'limt' }]])
    expect((await call(postern, '/clients?client_name=x', { bearer, body: { redirect_uris } })).status).toBe(400)
  })

  test.each<[string, number, string, RequestInit]>([
    ['is not JSON', 400, 'malformed-request', { body: '{', headers: { 'content-type': 'application/json' } }],
    ['is not an object', 400, 'malformed-request', { body: '[]', headers: { 'content-type': 'application/json' } }],
    ['is a form', 415, 'unsupported-media-type', { body: new URLSearchParams({ client_name: 'x' }) }],
    ['is XML', 415, 'unsupported-media-type', { body: '<a/>', headers: { 'content-type': 'application/xml' } }],
    ['has no type', 415, 'unsupported-media-type', { body: Buffer.from('{}') }],
    [
      'is compressed in an unknown way',
      415,
      'unsupported-media-type',
      { body: '{}', headers: { 'content-type': 'application/json', 'content-encoding': 'compress' } },
    ],
    [
      'is too large',
      413,
      'too-large',
      { body: `{"client_name":"${'x'.repeat(300_000)}"}`, headers: { 'content-type': 'application/json' } },
    ],
  ])('rejects a body that %s', async (_what, status, kind, init) => {
    const response = await fetch(`${postern.issuer}/admin/api/clients`, {
      ...init,
      method: 'POST',
      headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${bearer}` },
    })
    const { type } = (await response.json()) as { type: string }
    expect([response.status, type]).toEqual([status, `urn:postern:problem:${kind}`])
  })

  test('lists the methods of an address, and reports an unknown address as not found', async () => {
    const allowOf = ({ headers }: Answer) => headers.get('allow')?.split(', ').sort()
    const wrong = await call(postern, '/clients', { method: 'PUT', bearer, body: {} })
    expect([wrong.status, kindOf(wrong)]).toEqual([405, 'method-not-allowed'])
    expect(allowOf(wrong)).toEqual(['GET', 'HEAD', 'OPTIONS', 'POST'])
    const asked = await call(postern, '/clients/x', { method: 'OPTIONS' })
    expect([asked.status, allowOf(asked)]).toEqual([204, ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH']])
    for (const path of ['/nothing', '', '/clients/x/y/z']) {
      for (const method of ['GET', 'OPTIONS']) {
        const answer = await call(postern, path, { method, bearer })
        expect([answer.status, kindOf(answer)]).toEqual([404, 'not-found'])
      }
    }
  })

  test('answers HEAD like GET, without the body (RFC 9110 §9.3.2)', async () => {
    const answer = await call(postern, '/clients', { method: 'HEAD', bearer })
    expect([answer.status, answer.text]).toEqual([200, ''])
    expect((await call(postern, '/clients', { method: 'HEAD' })).status).toBe(401)
  })

  test('has one spelling of each address, and treats any other as unknown', async () => {
    const { client_id } = await postern.createClient()
    for (const path of ['/CLIENTS', '/clients/', `/Clients/${client_id}`, `/clients/${client_id}/`]) {
      const answer = await call(postern, path, { bearer })
      expect([answer.status, kindOf(answer), answer.headers.get('cache-control')]).toEqual([
        404,
        'not-found',
        'no-store',
      ])
    }
    const elsewhere = await send(postern, '/ADMIN/API/clients', { bearer })
    expect([elsewhere.status, kindOf(elsewhere)]).toEqual([404, 'not-found'])
  })

  test.each<[string, string, Record<string, string>]>([
    ['a header', '', { 'x-http-method-override': 'DELETE', 'x-http-method': 'DELETE', 'x-method-override': 'DELETE' }],
    ['a parameter', '?_method=DELETE', {}],
  ])('uses only the method of the request itself, and ignores %s', async (_where, query, headers) => {
    const { client_id } = await postern.createClient()
    const body = { _method: 'DELETE' }
    for (const request of [{}, { method: 'PATCH', body: {} }, { method: 'PATCH', body }, { method: 'POST', body }]) {
      await call(postern, `/clients/${client_id}${query}`, { bearer, headers, ...request })
    }
    expect((await call(postern, `/clients/${client_id}`, { bearer })).status).toBe(200)
  })

  test.each([
    '{"__proto__":{"first_party":true}}',
    '{"constructor":{"prototype":{"first_party":true}}}',
    '{"toString":"x"}',
    '{"dynamic":true}',
    '{"registration_token_id":"x"}',
    '{"deleted_at":null}',
  ])('rejects a member that is not a client’s: %s', async (members) => {
    const before = await clientCount()
    const response = await fetch(`${postern.issuer}/admin/api/clients`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: `{"redirect_uris":["https://rp.example/cb"],${members.slice(1)}`,
    })
    expect([400, 422]).toContain(response.status)
    expect(await clientCount()).toBe(before)
  })

  test('preserves an identifier: case, slashes and percent signs', async () => {
    for (const client_id of ['Ops/One', 'ops%2Fone', 'a b?c#d', '%zz']) {
      await operate(postern, 'client create', { client_id, redirect_uris })
      const answer = await call(postern, `/clients/${encodeURIComponent(client_id)}`, { bearer })
      expect([answer.status, answer.json['client_id']]).toEqual([200, client_id])
    }
    const malformed = await call(postern, '/clients/%zz', { bearer })
    expect([malformed.status, kindOf(malformed)]).toEqual([400, 'malformed-request'])
  })

  test('repeats no secret from a request that it rejects', async () => {
    const secret = 'Canary7'
    const account = { email: 'taken@example.com', password: `${secret} and more` }
    await call(postern, '/accounts', { bearer, body: account })
    const { client_id } = await postern.createClient()
    const refused: [string, string, unknown][] = [
      ['POST', '/accounts', account],
      ['POST', '/accounts', { email: 'short@example.com', password: secret }],
      ['POST', '/accounts', { email: 'list@example.com', password: [secret] }],
      ['PUT', '/accounts/nobody/password', { password: `${secret} and more` }],
      ['PUT', `/clients/${client_id}/secret`, { client_secret: secret }],
      ['PUT', `/clients/${client_id}/secret`, { client_secret: `${secret}é${'x'.repeat(40)}` }],
      ['POST', '/clients', { redirect_uris, client_secret: secret }],
      ['POST', '/clients', { redirect_uris, registration_access_token: secret }],
    ]
    for (const [method, path, body] of refused) {
      const { status, text } = await call(postern, path, { method, bearer, body })
      expect([status >= 400 && status < 500, text.includes(secret)], text).toEqual([true, false])
    }
    for (const path of ['/accounts', '/clients?limit=1000', '/audit?limit=1000']) {
      expect((await call(postern, path, { bearer })).text).not.toContain(secret)
    }
    expect(postern.logged.join('\n')).not.toContain(secret)
  })

  test('rejects a value that is nested too deeply, and does not fail', async () => {
    const claims = JSON.parse(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`)
    const body = { email: 'deep@example.com', password: 'long enough', claims }
    expect((await call(postern, '/accounts', { bearer, body })).status).toBe(400)
    expect((await call(postern, '/accounts', { bearer, body, headers: { 'idempotency-key': 'deep' } })).status).toBe(
      400,
    )
    const keys = await post({ redirect_uris, jwks: claims })
    expect(keys.status).toBe(400)
  })

  test('names the invalid value of a resource server or policy, and does not fail', async () => {
    const identifier = `https://api.example/${'x'.repeat(300)}`
    const made = await call(postern, '/resources', { bearer, body: { identifier, scopes: { read: 'Read' } } })
    expect(made.status).toBe(201)
    const rules = { client_ttl_seconds: Number.MAX_SAFE_INTEGER }
    const policy = await call(postern, '/registration-policies/endless', { method: 'PUT', bearer, body: { rules } })
    expect(policy.status).toBe(422)
  })

  test('rejects a member named like one of every object', async () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const client = `{"redirect_uris":["https://rp.example/cb"],"${name}":{"scope":"postern:audit"}}`
      const rules = `{"rules":{"${name}":{"first_party":true}}}`
      const answers = [
        await post(JSON.parse(client)),
        await call(postern, '/registration-policies/own', { method: 'PUT', bearer, body: JSON.parse(rules) }),
      ]
      for (const { status } of answers) expect([name, [400, 422].includes(status)]).toEqual([name, true])
    }
  })

  test.each(['1e400', '-1', '0.5', '9007199254740993', '1e21'])('rejects %s as a count', async (number) => {
    const numbers: [string, string, string][] = [
      ['PUT', '/registration-policies/counted', `{"rules":{"client_ttl_seconds":${number}}}`],
      ['PUT', '/registration-policies/counted', `{"rules":{"max_clients":${number}}}`],
      ['POST', '/registration-tokens', `{"uses":${number}}`],
      ['POST', '/resources', `{"identifier":"https://counted.example/","scopes":{},"token_ttl_seconds":${number}}`],
      ['POST', '/clients', `{"redirect_uris":["https://rp.example/cb"],"default_max_age":${number}}`],
    ]
    for (const [method, path, body] of numbers) {
      const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
      const { status } = await fetch(`${postern.issuer}/admin/api${path}`, { method, headers, body })
      expect([path, body, status]).toEqual([path, body, 422])
    }
    expect((await call(postern, `/clients?limit=${number}`, { bearer })).status).toBe(422)
  })

  test('rejects the ID of an account as the ID of a client (RFC 9700 §4.15)', async () => {
    const [account] = await postern.database.query('select id from accounts')
    const answer = await post({ client_id: String(account?.['id']), scope: 'read' })
    expect([answer.status, answer.json['errors']]).toMatchObject([422, [{ field: 'client_id' }]])
  })

  test('does not accept one object in the path and another in the body', async () => {
    const { client_id } = await postern.createClient()
    const body = { client_id: administrator.client_id, client_name: 'x' }
    const answer = await call(postern, `/clients/${client_id}`, { method: 'PATCH', bearer, body })
    expect([answer.status, answer.json['errors']]).toMatchObject([422, [{ field: 'client_id' }]])
  })

  test('rejects text that cannot be stored', async () => {
    expect((await call(postern, '/clients/%00', { bearer })).status).toBe(400)
    for (const text of ['a\u0000b', 'a\ud800b']) {
      expect((await post({ client_name: text, redirect_uris })).status).toBe(422)
      for (const claims of [{ name: text }, { [text]: 'name' }, { groups: [text] }]) {
        const body = { email: 'text@example.com', password: 'long enough', claims }
        const { status } = await call(postern, '/accounts', { bearer, body })
        expect([status >= 400 && status < 500, claims]).toEqual([true, claims])
      }
    }
  })

  test.each<[string, (cursor: string) => string | Promise<string>, string?]>([
    ['truncated', (cursor: string) => cursor.slice(0, -2)],
    ['changed', (cursor: string) => cursor.replace(/(?<=\.)[^.]{2}(?=[^.]*$)/, (two) => (two === 'AA' ? 'BB' : 'AA'))],
    ['made up', () => "v1' or 1=1 --"],
    [
      'of the same list with another filter',
      async () =>
        String((await call(postern, '/audit?limit=1&type=client.registered', { bearer })).json['next_cursor']),
      '/audit',
    ],
    ['of another list', async () => String((await call(postern, '/audit?limit=1', { bearer })).json['next_cursor'])],
  ])(
    'rejects a cursor that is %s (Hydra CVE-2026-33504: forged pagination token)',
    async (_what, forge, list = '/clients') => {
      const { json } = await call(postern, `${list}?limit=1`, { bearer })
      const cursor = await forge(String(json['next_cursor']))
      const answer = await call(postern, `${list}?limit=1&cursor=${encodeURIComponent(cursor)}`, { bearer })
      expect([answer.status, answer.json['errors']]).toMatchObject([422, [{ field: 'cursor' }]])
    },
  )

  test('links to the next part of a list, with the same filter, but not at its end (RFC 8288 §3)', async () => {
    const first = await call(postern, '/audit?limit=1&type=client.registered', { bearer })
    const [, next = ''] = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? []
    const second = await call(postern, next.replace(`${postern.issuer}/admin/api`, ''), { bearer })
    expect(second.json['items']).toMatchObject([{ type: 'client.registered' }])
    expect(second.json['items']).not.toEqual(first.json['items'])
    expect((await call(postern, '/clients?limit=1000', { bearer })).headers.get('link')).toBeNull()
  })

  test('continues a list where it stopped, and shows each client once', async () => {
    const seen: unknown[] = []
    let query = '?limit=2'
    for (;;) {
      const { json } = await call(postern, `/clients${query}`, { bearer })
      seen.push(...(json['items'] as { client_id: string }[]).map(({ client_id }) => client_id))
      if (!json['next_cursor']) break
      query = `?limit=2&cursor=${encodeURIComponent(String(json['next_cursor']))}`
    }
    const live = await postern.database.query(
      'select id from clients where deleted_at is null and not built_in order by created_at, id',
    )
    expect(seen).toEqual(live.map(({ id }) => id))
  })
})

describe('clients with an unusual history', () => {
  test('can be listed, shown and changed if they have a software statement', async () => {
    const { client_id } = await postern.createClient()
    await postern.database.query(
      `update clients set metadata = metadata || '{"software_statement":"a.b.c","unheard_of":1}' where id = $1`,
      [client_id],
    )
    postern.server.postern.clients.forget(client_id)
    expect((await call(postern, '/clients?limit=1000', { bearer })).status).toBe(200)
    expect((await call(postern, `/clients/${client_id}`, { bearer })).json).toMatchObject({
      software_statement: 'a.b.c',
    })
    const changed = await call(postern, `/clients/${client_id}`, {
      method: 'PATCH',
      bearer,
      body: { client_name: 'New' },
    })
    expect(changed.status).toBe(200)
  })

  test('belong to the policy of administrators if the previous release stored none', async () => {
    const { client_id } = await postern.createClient({ first_party: true, require_pkce: false })
    await postern.database.query('update clients set policy = null where id = $1', [client_id])
    const body = { client_name: 'Renamed' }
    expect((await call(postern, `/clients/${client_id}`, { method: 'PATCH', bearer, body })).status).toBe(200)
  })

  test('get a new secret when they need one again after having none', async () => {
    const { client_id, client_secret } = await postern.createClient()
    const to = (method: string) =>
      call(postern, `/clients/${client_id}`, { method: 'PATCH', bearer, body: { token_endpoint_auth_method: method } })
    expect((await to('none')).json['client_secret']).toBeUndefined()
    const [row] = await postern.database.query('select secret_sealed from clients where id = $1', [client_id])
    expect(row?.['secret_sealed']).toBeNull()
    const { json } = await to('client_secret_basic')
    expect(json['client_secret']).toMatch(/^[\w-]{64}$/)
    expect(json['client_secret']).not.toBe(client_secret)
  })

  test('lose grants without a consent when they are no longer first-party', async () => {
    const client = await postern.createClient({ first_party: true })
    const { tokens } = await login(postern, client, { email, scope: 'openid email offline_access' })
    await operate(postern, 'client update', { client_id: client.client_id, first_party: null })
    const { status, json } = await send(postern, '/oauth/token', {
      client,
      form: { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) },
    })
    expect([status, json['error']]).toEqual([400, 'invalid_grant'])
  })
})

describe('a resource server', () => {
  test('is deleted together with the credentials created for it, but not with a client that existed before', async () => {
    const create = (identifier: string, more = {}) =>
      call(postern, '/resources', { bearer, body: { identifier, scopes: { read: 'Read' }, ...more } })
    const introspector = await postern.createClient({ grant_types: [], redirect_uris: [], response_types: [] })
    const { client_id } = introspector
    const own = (await create('https://one.example/')).json['client_id']
    await create('https://two.example/', { client_id })
    for (const identifier of ['https://one.example/', 'https://two.example/']) {
      const path = `/resources/${encodeURIComponent(identifier)}`
      expect((await call(postern, path, { method: 'DELETE', bearer })).status).toBe(204)
    }
    const statuses = await Promise.all([own, client_id].map((id) => call(postern, `/clients/${id}`, { bearer })))
    expect(statuses.map(({ status }) => status)).toEqual([404, 200])
  })

  test('cannot be introspected by a client that registered itself', async () => {
    const { client_id } = await postern.createClient()
    await postern.database.query('update clients set dynamic = true where id = $1', [client_id])
    const body = { identifier: 'https://three.example/', scopes: { read: 'Read' }, client_id }
    const answer = await call(postern, '/resources', { bearer, body })
    expect([answer.status, answer.json['errors']]).toMatchObject([422, [{ field: 'client_id' }]])
  })
})

describe('a client that is moved to another policy', () => {
  test('has the lifetimes of that policy from then on', async () => {
    const { client_id } = await postern.createClient()
    await postern.database.query(
      `update clients set policy = 'open', expires_at = now() + interval '1 day', unused_expires_at = now() + interval '1 hour' where id = $1`,
      [client_id],
    )
    const moved = { method: 'PATCH', bearer, body: { policy: 'administrator' } }
    expect((await call(postern, `/clients/${client_id}`, moved)).status).toBe(200)
    const rows = await postern.database.query('select expires_at, unused_expires_at from clients where id = $1', [
      client_id,
    ])
    expect(rows).toEqual([{ expires_at: null, unused_expires_at: null }])
  })
})

describe('Idempotency-Key', () => {
  const create = (key: string, body: Record<string, unknown>, token = bearer) =>
    call(postern, '/clients', { bearer: token, body, headers: { 'idempotency-key': key } })

  test('a repeated request gets the same answer, including the secret, and does nothing', async () => {
    const first = await create('one', { client_name: 'One', redirect_uris })
    const before = await clientCount()
    const again = await create('one', { redirect_uris, client_name: 'One' }) // in another order
    expect([again.status, again.json]).toEqual([201, first.json])
    expect([first, again].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, 'true'])
    expect(await clientCount()).toBe(before)
  })

  test('another request with the same key is rejected', async () => {
    await create('two', { client_name: 'Two', redirect_uris })
    const answer = await create('two', { client_name: 'Three', redirect_uris })
    expect([answer.status, answer.json['errors']]).toMatchObject([422, [{ field: 'Idempotency-Key' }]])
  })

  test('a key belongs to the client that used it', async () => {
    const other = await adminToken(postern, await createAdministrator(postern))
    const [one, two] = [await create('mine', { redirect_uris }), await create('mine', { redirect_uris }, other)]
    expect(two.json['client_id']).not.toBe(one.json['client_id'])
  })

  test('a key is for one operation', async () => {
    const { client_id } = await postern.createClient()
    const headers = { 'idempotency-key': 'here' }
    const rotate = () => call(postern, `/clients/${client_id}/rotate-secret`, { bearer, body: {}, headers })
    expect((await create('here', { redirect_uris })).status).toBe(201)
    const [first, again] = [await rotate(), await rotate()]
    expect([first.status, again.json]).toEqual([200, first.json])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
  })

  test('a key is for one object, even if the path names it', async () => {
    const headers = { 'idempotency-key': 'there' }
    const rotate = async () => {
      const { client_id } = await postern.createClient()
      return call(postern, `/clients/${client_id}/rotate-secret`, { bearer, body: {}, headers })
    }
    expect([(await rotate()).status, (await rotate()).status]).toEqual([200, 422])
  })

  test('a key can be used for another request after a day', async () => {
    const first = await create('daily', { redirect_uris })
    const [row] = await postern.database.query(
      `select extract(epoch from max(expires_at) - now())::int as seconds from idempotency_keys`,
    )
    expect(Number(row?.['seconds'])).toBeGreaterThan(86_000)
    await postern.database.query('update idempotency_keys set expires_at = now()')
    const next = await create('daily', { redirect_uris, client_name: 'Another' })
    expect(next.status).toBe(201)
    expect(next.json['client_id']).not.toBe(first.json['client_id'])
  })

  test.each([
    ['empty', ''],
    ['too long', 'x'.repeat(256)],
    ['not printable', 'a\tb'],
  ])('a key that is %s is rejected', async (_what, key) => {
    const before = await clientCount()
    const answer = await create(key, { redirect_uris })
    expect([answer.status, kindOf(answer)]).toEqual([400, 'malformed-request'])
    expect(await clientCount()).toBe(before)
  })

  test('the stored record of a request cannot be used to guess its password', async () => {
    const body = { email: 'eve@example.com', password: 'hunter2 hunter2' }
    const headers = { 'idempotency-key': 'account' }
    expect((await call(postern, '/accounts', { bearer, body, headers })).status).toBe(201)
    const digest = createHash('sha256').update(JSON.stringify(body)).digest('hex')
    const rows = await postern.database.query(`select encode(request_hash, 'hex') as hash from idempotency_keys`)
    expect(rows.length).toBeGreaterThan(0)
    expect(rows.map(({ hash }) => hash)).not.toContain(digest)
  })

  test('a rejected request leaves its key unused', async () => {
    expect((await create('later', { redirect_uris: ['http://rp.example/'] })).status).toBe(422)
    expect((await create('later', { redirect_uris })).status).toBe(201)
  })

  test('one of twenty simultaneous requests with one key creates, and all get its answer', async () => {
    const before = await clientCount()
    const answers = await Promise.all(Array.from({ length: 20 }, () => create('race', { redirect_uris })))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
    expect(new Set(answers.map(({ json }) => json['client_secret'])).size).toBe(1)
    expect(await clientCount()).toBe(before + 1)
  })

  test('the stored answer is sealed', async () => {
    const { json } = await create('sealed', { redirect_uris })
    const rows = await postern.database.query('select response_sealed from idempotency_keys')
    expect(rows.length).toBeGreaterThan(0)
    expect(JSON.stringify(rows)).not.toContain(String(json['client_secret']))
  })
})
