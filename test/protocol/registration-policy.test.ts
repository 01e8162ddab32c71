import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import {
  createPolicy,
  createToken,
  manage,
  redirect_uris,
  register,
  registered,
  updated,
} from '../support/registration.ts'
import { authorize, login } from '../support/relying-party.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
let postern: TestPostern
let bearer: string

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  bearer = await createToken(postern)
})
afterAll(() => postern?.stop())

/** Asserts that a policy rejects metadata, both at registration and as an update of a valid client. */
async function expectRefused(token: string, metadata: Record<string, unknown>, field: string, rule: string) {
  const client = await registered(postern, token)
  for (const attempt of [
    await register(postern, { redirect_uris, ...metadata }, token),
    await manage(postern, client, 'PUT', { redirect_uris, ...metadata }),
  ]) {
    const error = field === 'redirect_uris' ? 'invalid_redirect_uri' : 'invalid_client_metadata'
    expect([attempt.status, attempt.json['error']]).toEqual([400, error])
    const description = String(attempt.json['error_description'])
    expect(description.startsWith(field)).toBe(true)
    expect(description.endsWith(`(${rule})`)).toBe(true)
  }
  const [row] = await postern.database.query('select metadata from clients where id = $1', [client.client_id])
  expect(row?.['metadata']).toMatchObject({ redirect_uris, client_name: 'Self-made' })
}

describe('POST and PUT', () => {
  const inApp = { application_type: 'native' }
  test.each<[string, Record<string, unknown>, string, string]>([
    ['with redirects over http', { redirect_uris: ['http://rp.example/cb'] }, 'redirect_uris', 'redirect_uris.https'],
    ['with user information', { redirect_uris: ['https://a@rp.example/cb'] }, 'redirect_uris', 'uri_syntax'],
    ['with two @ (CVE-2026-7504)', { redirect_uris: ['https://a@b@rp.example/cb'] }, 'redirect_uris', 'uri_syntax'],
    ['with a fragment', { redirect_uris: ['https://rp.example/cb#x'] }, 'redirect_uris', 'uri_syntax'],
    ['with a wildcard', { redirect_uris: ['https://rp.example/*'] }, 'redirect_uris', 'uri_syntax'],
    ['with an IPv4 address', { redirect_uris: ['https://198.51.100.1/cb'] }, 'redirect_uris', 'uri_syntax'],
    ['with an IPv6 address', { redirect_uris: ['https://[2001:db8::1]/cb'] }, 'redirect_uris', 'uri_syntax'],
    [
      'with dot segments (CVE-2026-3872)',
      { redirect_uris: ['https://rp.example/a/..;/b'] },
      'redirect_uris',
      'uri_syntax',
    ],
    ['with a scheme that is not a domain', { ...inApp, redirect_uris: ['myapp:/cb'] }, 'redirect_uris', 'uri_syntax'],
    [
      'with too many URIs',
      {
        redirect_uris: Array(21)
          .fill('https://rp.example/')
          .map((u, n) => u + n),
      },
      'redirect_uris',
      'max_uris',
    ],
    ['with too many bytes', { contacts: [`${'x'.repeat(20_000)}@rp.example`] }, 'contacts', 'max_metadata_bytes'],
    [
      'with an unsupported grant type',
      { grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'] },
      'grant_types',
      'grant_types',
    ],
    [
      'with an unsupported authentication method',
      { token_endpoint_auth_method: 'tls_client_auth' },
      'token_endpoint_auth_method',
      'token_endpoint_auth_methods',
    ],
    ['with a scope of the admin API', { scope: 'openid postern:clients' }, 'scope', 'scopes'],
    ['with an API scope for itself', { ...machine, scope: 'read' }, 'scope', 'scopes'],
    ['that is first-party', { first_party: true }, 'first_party', 'first_party'],
    ['that exempts itself from PKCE', { require_pkce: false }, 'require_pkce', 'administrative'],
    ['with a logo at an address', { logo_uri: 'https://198.51.100.1/logo.png' }, 'logo_uri', 'uri_syntax'],
  ])('reject a client %s', async (_what, metadata, field, rule) => {
    await expectRefused(bearer, metadata, field, rule)
  })

  test.each<[string, object, Record<string, unknown>, string, string]>([
    [
      'a grant type',
      { grant_types: ['authorization_code'] },
      { grant_types: ['authorization_code', 'refresh_token'] },
      'grant_types',
      'grant_types',
    ],
    ['a scope', { scopes: ['openid'] }, { scope: 'openid email' }, 'scope', 'scopes'],
    [
      'a way to authenticate',
      { token_endpoint_auth_methods: ['client_secret_basic'] },
      { token_endpoint_auth_method: 'none' },
      'token_endpoint_auth_method',
      'token_endpoint_auth_methods',
    ],
    [
      'an application type',
      { application_types: ['web'] },
      { application_type: 'native' },
      'application_type',
      'application_types',
    ],
    [
      'a host',
      { redirect_uris: { hosts: ['rp.example'] } },
      { redirect_uris: ['https://sub.rp.example/cb'] },
      'redirect_uris',
      'redirect_uris.hosts',
    ],
    ['an API', { resources: [] }, { resources: ['https://api.example'] }, 'resources', 'resources'],
  ])('reject a client with %s that its policy does not list', async (what, rules, metadata, field, rule) => {
    const name = what.toLowerCase().replaceAll(' ', '-')
    await expectRefused(await createPolicy(postern, name, rules), metadata, field, rule)
  })
})

describe('Keycloak CVE-2026-18570: an omitted member is judged by its resulting value:', () => {
  test('an omitted scope becomes the policy’s scopes, not all, and the answer says so', async () => {
    const token = await createPolicy(postern, 'two-scopes', { scopes: ['openid', 'email'] })
    const client = await registered(postern, token, { scope: 'openid' })
    expect((await registered(postern, token))['scope']).toBe('openid email')
    expect((await updated(postern, client))['scope']).toBe('openid email')
    const [row] = await postern.database.query(`select metadata->'scope' as scope from clients where id = $1`, [
      client.client_id,
    ])
    expect(row).toEqual({ scope: 'openid email' })
  })

  test('an omitted authentication method becomes one of the policy’s, at registration and at an update', async () => {
    const token = await createPolicy(postern, 'public', { token_endpoint_auth_methods: ['none'] })
    const client = await registered(postern, token)
    expect(client['token_endpoint_auth_method']).toBe('none')
    expect(client).not.toHaveProperty('client_secret')
    expect((await updated(postern, client))['token_endpoint_auth_method']).toBe('none')
  })

  test('a grant type that a response type implies must be allowed too', async () => {
    const token = await createPolicy(postern, 'machines', {
      grant_types: ['client_credentials'],
      response_types: ['code'],
    })
    const { status, json } = await register(postern, { ...machine, redirect_uris, response_types: ['code'] }, token)
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
    expect(json['error_description']).toMatch(/\(grant_types\)$/)
  })
})

describe('Keycloak CVE-2026-15572: an update, even one that changes nothing,', () => {
  test('is judged by the current version of the policy', async () => {
    const token = await createPolicy(postern, 'tightened', {})
    const client = await registered(postern, token, { scope: 'openid email' })
    await operate(postern, 'registration-policy set', { name: 'tightened', rules: { scopes: ['openid'] } })
    const { status, json } = await manage(postern, client, 'PUT', { redirect_uris, scope: 'openid email' })
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
    await updated(postern, client, { scope: 'openid' })
  })

  test('is judged by the client’s current policy, whichever token it was registered with', async () => {
    await createPolicy(postern, 'stricter', { redirect_uris: { hosts: ['only.example'] } })
    const client = await registered(postern, bearer)
    await operate(postern, 'client update', {
      client_id: client.client_id,
      policy: 'stricter',
      redirect_uris: ['https://only.example/cb'],
    })
    const { status, json } = await manage(postern, client, 'PUT', { redirect_uris })
    expect([status, json['error']]).toEqual([400, 'invalid_redirect_uri'])
  })
})

describe('Keycloak CVE-2026-16102: a registration', () => {
  test('cannot grant itself roles, groups or a policy of its choice', async () => {
    const claims = { roles: ['admin'], groups: ['admin'], claims: { groups: ['admin'] }, protocol_mappers: [{}] }
    const client = await registered(postern, bearer, { ...claims, policy: 'administrator', dynamic: false })
    const [row] = await postern.database.query('select metadata, policy, dynamic from clients where id = $1', [
      client.client_id,
    ])
    expect([row?.['policy'], row?.['dynamic']]).toEqual(['default', true])
    for (const name of [...Object.keys(claims), 'policy', 'dynamic']) expect(row?.['metadata']).not.toHaveProperty(name)
    const { tokens } = await login(postern, client, { email })
    expect(tokens.claims()).not.toHaveProperty('groups')
  })
})

describe('Keycloak CVE-2026-9705: the registration access token of a disabled client', () => {
  test('cannot read, change, delete or enable it, and works again after the client is enabled', async () => {
    const client = await registered(postern, bearer, machine)
    const { client_id } = client
    await operate(postern, 'client disable', { client_id })
    for (const [method, body] of [['GET'], ['PUT', machine], ['DELETE']] as const) {
      const { status, json } = await manage(postern, client, method, body)
      expect([method, status, json['error']]).toEqual([method, 401, 'invalid_token'])
    }
    const form = { grant_type: 'client_credentials' }
    expect((await send(postern, '/oauth/token', { client, form })).status).toBe(401)
    await operate(postern, 'client enable', { client_id })
    await updated(postern, client, machine)
  })
})

describe('better-auth CVE-2026-41427, Zitadel CVE-2026-29193: every way to become a client is judged:', () => {
  test('a token, an update and an administrator’s request follow the same rule', async () => {
    const metadata = { redirect_uris: ['https://198.51.100.1/cb'] }
    await expectRefused(bearer, metadata, 'redirect_uris', 'uri_syntax')
    await expect(operate(postern, 'client create', { client_name: 'x', ...metadata })).rejects.toThrow('not an address')
  })

  test('a token of an earlier release, which names no hook, is judged like any other', async () => {
    const client = await registered(postern, bearer)
    const [row] = await postern.database.query(
      `select payload from artifacts where model = 'RegistrationAccessToken' and client_id = $1`,
      [client.client_id],
    )
    expect(row?.['payload']).not.toHaveProperty('policies')
    const { status, json } = await manage(postern, client, 'PUT', { redirect_uris, first_party: true })
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
  })
})

describe('the audit of registrations', () => {
  const lines = (clientId: unknown) =>
    postern.database.query(
      `select type, actor, address, request_id is not null as has_request, details from audit_events
       where client_id = $1 and type like 'client.%' order by id`,
      [clientId],
    )

  test('has one event for each step of a client that registers and manages itself', async () => {
    const token = await createToken(postern)
    const [{ id } = {}] = await postern.database.query('select id from registration_tokens order by created_at desc')
    const client = await registered(postern, token)
    const { client_id } = client
    await manage(postern, client, 'PUT', { redirect_uris: ['http://rp.example/cb'] })
    await manage(postern, client, 'GET')
    const next = await updated(postern, client)
    await manage(postern, client, 'DELETE')
    await manage(postern, next, 'DELETE')
    const about = { address: expect.stringMatching(/^(127\.0\.0\.1|::1)$/), has_request: true }
    expect(await lines(client_id)).toEqual([
      { ...about, type: 'client.registered', actor: `registration_token:${id}`, details: { policy: 'default' } },
      { ...about, type: 'client.updated', actor: `client:${client_id}`, details: { policy: 'default' } },
      { ...about, type: 'client.deleted', actor: `client:${client_id}`, details: {} },
    ])
  })

  test('has no event for a registration that is rejected', async () => {
    const count = async () =>
      (await postern.database.query("select count(*) from audit_events where type not like 'key.%'"))[0]?.['count']
    const before = await count()
    await register(postern, { redirect_uris: ['http://rp.example/cb'] }, bearer)
    await register(postern, { redirect_uris }, 'unknown')
    expect(await count()).toBe(before)
  })
})

describe('the registration of a home app or an editor', () => {
  test('may use a scheme and a host that the administrator named, with a warning in the answer to that policy', async () => {
    const redirect = { dangerous_schemes: ['audiobookshelf'], private_hosts: ['nas.lan'] }
    const saved = await operate(postern, 'registration-policy set', {
      name: 'home',
      rules: { redirect_uris: redirect },
    })
    expect(saved).toMatchObject({
      warnings: [expect.stringContaining('audiobookshelf'), expect.stringContaining('nas.lan')],
    })
    const uris = ['audiobookshelf://oauth', 'http://nas.lan/cb']
    for (const [index, redirect_uri] of uris.entries()) {
      const application_type = index === 0 ? 'native' : 'web'
      const metadata = { redirect_uris: [redirect_uri], application_type, policy: 'home' }
      const client = (await operate(postern, 'client create', metadata)) as { client_id: string }
      const { callback } = await authorize(postern, client, { email, redirect_uri })
      expect(callback.href.startsWith(`${redirect_uri}?code=`)).toBe(true)
    }
    const other = { redirect_uris: ['oc://x'], application_type: 'native', policy: 'home' }
    await expect(operate(postern, 'client create', other)).rejects.toThrow('redirect_uris')
  })

  test('succeeds without the addresses that the policy does not allow, and the answer says so', async () => {
    const token = await createPolicy(postern, 'reducing', { reduce: true })
    const uris = ['cursor://anysphere.cursor-retrieval/oauth', 'https://www.cursor.com/agents/mcp/oauth/callback']
    const { status, json } = await register(postern, { redirect_uris: uris }, token)
    expect([status, json['redirect_uris']]).toEqual([201, [uris[1]]])
    expect((await register(postern, { redirect_uris: [uris[0]] }, token)).status).toBe(400)
  })

  test('may have members without an effect', async () => {
    const unused = {
      scope: '',
      logo_uri: '',
      token_endpoint_auth_signing_alg: 'RS256',
      request_object_signing_alg: 'RS256',
    }
    const grant_types = ['authorization_code', 'implicit', 'refresh_token']
    const { status, json } = await register(postern, { redirect_uris, ...unused, grant_types }, bearer)
    expect(status).toBe(201)
    expect(json).toMatchObject({ grant_types: ['authorization_code', 'refresh_token'] })
    for (const name of Object.keys(unused)) expect(json).not.toHaveProperty(name)
  })
})
