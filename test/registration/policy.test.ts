import { describe, expect, test } from 'vitest'
import { scopes } from '../../src/oidc/scopes.ts'
import type { Metadata } from '../../src/registration/metadata.ts'
import { effective, judge } from '../../src/registration/policy.ts'
import { complete } from '../../src/registration/rules.ts'

type Given = { rules?: object; builtIn?: string; isLoopbackIssuer?: boolean }

const redirect_uris = ['https://rp.example/cb']
const machine = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }

function refusal(metadata: Metadata, { rules = {}, builtIn = 'default', isLoopbackIssuer = false }: Given = {}) {
  const policy = complete(builtIn, rules)
  return judge({ redirect_uris, ...metadata }, { policy, isLoopbackIssuer, openScopes: Object.keys(scopes) })
}
const against = (metadata: Metadata, given?: Given) => {
  const found = refusal(metadata, given)
  return found && [found.field, found.rule]
}

describe('each rule of a policy accepts and refuses', () => {
  const uris = (count: number) => Array.from({ length: count }, (_, n) => `https://rp.example/${n}`)

  // The accepted metadata, the refused metadata, and the field of the refusal.
  test.each<[rule: string, rules: object, allowed: Metadata, refused: Metadata, field: string]>([
    [
      'grant_types',
      { grant_types: ['authorization_code', 'refresh_token'] },
      { grant_types: ['authorization_code', 'refresh_token'] },
      { grant_types: ['authorization_code', 'client_credentials'] },
      'grant_types',
    ],
    [
      'response_types',
      { response_types: ['code', 'token id_token code'] },
      { response_types: ['code', 'id_token code token'] },
      { response_types: ['code', 'id_token'] },
      'response_types',
    ],
    [
      'token_endpoint_auth_methods',
      { token_endpoint_auth_methods: ['private_key_jwt', 'none'] },
      { token_endpoint_auth_method: 'none' },
      { token_endpoint_auth_method: 'client_secret_basic' },
      'token_endpoint_auth_method',
    ],
    [
      'application_types',
      { application_types: ['web'] },
      { application_type: 'web' },
      { application_type: 'native' },
      'application_type',
    ],
    ['scopes', { scopes: ['openid', 'read'] }, { scope: 'read openid' }, { scope: 'openid email' }, 'scope'],
    [
      'resources',
      { resources: ['https://api.example'] },
      { resources: ['https://api.example'] },
      { resources: ['https://api.example', 'https://api.example/'] },
      'resources',
    ],
    [
      'redirect_uris.https',
      { redirect_uris: { https: false } },
      { application_type: 'native', redirect_uris: ['com.example.app:/cb'] },
      { application_type: 'native', redirect_uris: ['com.example.app:/cb', ...redirect_uris] },
      'redirect_uris',
    ],
    [
      'redirect_uris.loopback',
      { redirect_uris: { loopback: 'native' } },
      { application_type: 'native', redirect_uris: ['http://127.0.0.1/cb'] },
      { application_type: 'web', redirect_uris: ['http://127.0.0.1/cb'] },
      'redirect_uris',
    ],
    [
      'redirect_uris.private_use_schemes',
      { redirect_uris: { private_use_schemes: false } },
      { application_type: 'native' },
      { application_type: 'native', redirect_uris: ['com.example.app:/cb'] },
      'redirect_uris',
    ],
    [
      'redirect_uris.hosts',
      { redirect_uris: { hosts: ['*.rp.example'] } },
      { redirect_uris: ['https://a.rp.example/cb'] },
      { redirect_uris },
      'redirect_uris',
    ],
    ['uri_syntax', {}, {}, { redirect_uris: [...redirect_uris, 'https://rp.example/cb#'] }, 'redirect_uris'],
    ['max_uris', { max_uris: 2 }, { redirect_uris: uris(2) }, { redirect_uris: uris(3) }, 'redirect_uris'],
    [
      'max_uris',
      { max_uris: 2 },
      { post_logout_redirect_uris: uris(2) },
      { post_logout_redirect_uris: uris(3) },
      'post_logout_redirect_uris',
    ],
    [
      'max_metadata_bytes',
      { max_metadata_bytes: 1_000 },
      { contacts: ['a@rp.example'] },
      { contacts: [`${'ü'.repeat(500)}@rp.example`] },
      'contacts',
    ],
    ['first_party', {}, { first_party: false }, { first_party: true }, 'first_party'],
    ['administrative', {}, {}, { require_pkce: true }, 'require_pkce'],
    ['administrative', {}, {}, { require_pkce: false }, 'require_pkce'],
    ['administrative', {}, {}, { required_scopes: 'openid' }, 'required_scopes'],
    [
      'software_statement',
      { software_statement: 'required' },
      { software_statement: 'x.y.z' },
      {},
      'software_statement',
    ],
    [
      'software_statement',
      { software_statement: 'refused' },
      {},
      { software_statement: 'x.y.z' },
      'software_statement',
    ],
    ['well_formed', {}, { contacts: ['a@rp.example'] }, { contacts: 'a@rp.example' }, 'contacts'],
  ])('as it says: %s %j', (rule, rules, allowed, refused, field) => {
    expect(refusal(allowed, { rules })).toBeUndefined()
    const found = refusal(refused, { rules })
    expect([found?.field, found?.rule]).toEqual([field, rule])
    expect(found?.message).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/) // RFC 6749 §5.2
  })

  test.each([
    'client_uri',
    'logo_uri',
    'policy_uri',
    'tos_uri',
    'jwks_uri',
    'sector_identifier_uri',
    'initiate_login_uri',
    'backchannel_logout_uri',
  ])('as uri_hosts says, for %s', (field) => {
    const rules = { uri_hosts: ['rp.example'] }
    expect(refusal({ [field]: 'https://rp.example/x' }, { rules })).toBeUndefined()
    expect(against({ [field]: 'https://other.example/x' }, { rules })).toEqual([field, 'uri_hosts'])
    expect(against({ [field]: 'http://169.254.169.254/latest' })).toEqual([field, 'uri_syntax'])
    expect(against({ [field]: 'http://127.0.0.1/x' })).toEqual([field, 'uri_syntax'])
    expect(refusal({ [field]: 'http://127.0.0.1/x' }, { isLoopbackIssuer: true })).toBeUndefined()
  })

  test('except that a web client may be on loopback if the issuer is, whatever the policy says', () => {
    const local = { application_type: 'web', redirect_uris: ['http://localhost:3000/cb'] }
    expect(refusal(local, { rules: { redirect_uris: { loopback: 'never' } }, isLoopbackIssuer: true })).toBeUndefined()
    expect(against(local)).toEqual(['redirect_uris', 'redirect_uris.loopback'])
  })
})

describe('Keycloak CVE-2026-18570: an omitted field is checked by its default', () => {
  test.each<[what: string, rules: object, given: Metadata, leftOut: Metadata, field: string, rule: string]>([
    [
      'a grant type that the response type implies',
      { grant_types: ['client_credentials'], response_types: ['code'] },
      { grant_types: ['authorization_code'] },
      { grant_types: ['client_credentials'] },
      'grant_types',
      'grant_types',
    ],
    [
      'the implicit grant, implied by an ID token',
      { grant_types: ['authorization_code'] },
      { grant_types: ['implicit'], response_types: ['id_token'] },
      { response_types: ['id_token'] },
      'grant_types',
      'grant_types',
    ],
    [
      'the application type that loopback depends on',
      { application_types: ['web'] },
      { application_type: 'web', redirect_uris: ['http://127.0.0.1/cb'] },
      { redirect_uris: ['http://127.0.0.1/cb'] },
      'redirect_uris',
      'redirect_uris.loopback',
    ],
    [
      'the application type that a private-use scheme depends on',
      { application_types: ['web'] },
      { application_type: 'web', redirect_uris: ['com.example.app:/cb'] },
      { redirect_uris: ['com.example.app:/cb'] },
      'redirect_uris',
      'uri_syntax',
    ],
    [
      'the authentication method of a client with client credentials',
      { token_endpoint_auth_methods: ['none'] },
      { ...machine, token_endpoint_auth_method: 'none' },
      machine,
      'token_endpoint_auth_method',
      'token_endpoint_auth_methods',
    ],
    [
      'a scope, where the policy gives none',
      { scopes: ['postern:clients'] },
      { scope: 'openid' },
      {},
      'scope',
      'scopes',
    ],
    [
      'a software statement',
      { software_statement: 'required' },
      { software_statement: null },
      {},
      'software_statement',
      'software_statement',
    ],
  ])('for %s', (_what, rules, given, leftOut, field, rule) => {
    expect(against(given, { rules })).toEqual([field, rule])
    expect(against(leftOut, { rules })).toEqual([field, rule])
  })

  test.each<[field: string, rules: object, refused: unknown, rule: string, completed: unknown]>([
    [
      'grant_types',
      { grant_types: ['client_credentials'], response_types: [] },
      ['implicit'],
      'grant_types',
      ['client_credentials'],
    ],
    ['response_types', { response_types: ['code id_token'] }, ['code'], 'response_types', ['code id_token']],
    ['response_types', { grant_types: ['client_credentials'], response_types: [] }, ['none'], 'response_types', []],
    [
      'token_endpoint_auth_method',
      { token_endpoint_auth_methods: ['private_key_jwt'] },
      'client_secret_basic',
      'token_endpoint_auth_methods',
      'private_key_jwt',
    ],
    ['application_type', { application_types: ['native'] }, 'web', 'application_types', 'native'],
    ['scope', { scopes: ['openid', 'email'] }, 'openid email groups', 'scopes', 'openid email'],
    [
      'resources',
      { resources: ['https://api.example'] },
      ['https://other.example'],
      'resources',
      ['https://api.example'],
    ],
    ['resources', { resources: [] }, ['https://api.example'], 'resources', []],
  ])('and %s under %j never defaults to a value that the policy refuses', (field, rules, refused, rule, completed) => {
    expect(against({ [field]: refused }, { rules })).toEqual([field, rule])
    for (const left of [{}, { [field]: null }, { [field]: undefined }]) {
      expect(effective(left, complete('test', rules))[field]).toEqual(completed)
      expect(refusal(left, { rules })).toBeUndefined()
    }
  })
})

describe('effective metadata', () => {
  const policy = complete('default')

  test('has the defaults of RFC 7591 §2', () => {
    expect(effective({ redirect_uris }, policy)).toEqual({
      redirect_uris,
      application_type: 'web',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    })
  })

  test('contains each value once, and otherwise everything given, including unknown members', () => {
    const given = {
      contacts: ['a@rp.example', 'a@rp.example'],
      grant_types: ['authorization_code', 'refresh_token', 'authorization_code'],
      software_id: 'x',
      scope: 'openid',
    }
    expect(effective(given, policy)).toMatchObject({
      ...given,
      contacts: ['a@rp.example'],
      grant_types: ['authorization_code', 'refresh_token'],
    })
  })

  test.each<[what: string, redirect_uris: string[], rules: object, type: string]>([
    ['to loopback', ['http://localhost:33418/cb', 'http://127.0.0.1/cb', 'http://[::1]/cb'], {}, 'native'],
    ['to a private-use scheme', ['com.example.app:/cb'], {}, 'native'],
    ['to both kinds', ['com.example.app:/cb', 'http://localhost/cb'], {}, 'native'],
    ['to loopback and the web', ['http://localhost/cb', 'https://rp.example/cb'], {}, 'web'],
    ['to loopback over https', ['https://localhost/cb'], {}, 'web'],
    ['to a host that resembles loopback', ['http://localhost.rp.example/cb'], {}, 'web'],
    ['to a scheme that is not a domain', ['myapp:/cb'], {}, 'web'],
    ['to a scheme that runs scripts', ['javascript:alert(1)'], {}, 'web'],
    ['to no address', [], {}, 'web'],
    [
      'to loopback, under a policy that allows it for web clients',
      ['http://localhost/cb'],
      { redirect_uris: { loopback: 'any' } },
      'web',
    ],
    [
      'to loopback, under a policy for web clients only',
      ['http://localhost/cb'],
      { application_types: ['web'] },
      'web',
    ],
  ])('has the application type that fits a client which returns people %s', (_what, uris, rules, type) => {
    expect(effective({ redirect_uris: uris }, complete('default', rules))['application_type']).toBe(type)
    for (const said of ['web', 'native']) {
      const given = { redirect_uris: uris, application_type: said }
      expect(effective(given, complete('default', rules))['application_type']).toBe(said)
    }
  })

  test('contains no scope of the admin API that was not requested, and is not narrowed under a policy with any scope', () => {
    const scopeUnder = (list: unknown) => effective({}, complete('test', { scopes: list }))['scope']
    expect(scopeUnder(['openid', 'postern:clients', 'read'])).toBe('openid read')
    expect(scopeUnder(['postern:clients', '*', 'read'])).toBeUndefined()
    expect(scopeUnder('*')).toBeUndefined()
  })

  test('stays as it is when it is completed again', () => {
    for (const name of ['default', 'open', 'document', 'administrator']) {
      const once = effective({ redirect_uris, response_types: ['code', 'id_token'] }, complete(name))
      expect(effective(once, complete(name))).toEqual(once)
    }
  })

  test('is made without changing its source', () => {
    const given = Object.freeze({ redirect_uris: Object.freeze([...redirect_uris]), logo_uri: null })
    expect(effective(given, policy)).not.toHaveProperty('logo_uri')
    const { rules } = complete('test', { resources: ['https://api.example'] })
    const completed = effective({}, { name: 'test', rules })['resources'] as string[]
    completed.push('https://other.example')
    expect(rules.resources).toEqual(['https://api.example'])
  })
})

describe('a scope', () => {
  test('of the admin API is only for a client that the policy names it for, whatever else is allowed', () => {
    for (const rules of [{}, { scopes: ['*'] }, { scopes: ['openid', 'postern:clients:read'] }]) {
      expect(against({ scope: 'postern:clients' }, { rules })).toEqual(['scope', 'scopes'])
    }
    expect(refusal({ scope: 'postern:clients' }, { rules: { scopes: ['postern:clients'] } })).toBeUndefined()
    expect(refusal({ scope: 'openid postern:clients' }, { rules: { scopes: ['*', 'postern:*'] } })).toBeUndefined()
    expect(refusal({ scope: 'postern:clients' }, { builtIn: 'administrator' })).toBeUndefined()
  })

  test('of an API is for a client without consent only if scope and API are listed or an administrator registers it', () => {
    expect(refusal({ scope: 'openid read' })).toBeUndefined()
    expect(refusal({ ...machine, scope: 'openid email' })).toBeUndefined()
    expect(against({ ...machine, scope: 'openid read' })).toEqual(['scope', 'scopes'])
    expect(against({ ...machine, scope: '*' })).toEqual(['scope', 'scopes'])
    const both = { grant_types: ['authorization_code', 'client_credentials'] }
    expect(against({ ...both, scope: 'read' })).toEqual(['scope', 'scopes'])
    const listed = { scopes: ['read'], resources: ['https://api.example/'] }
    expect(refusal({ ...machine, scope: 'read' }, { rules: listed })).toBeUndefined()
    expect(against({ ...machine, scope: 'read' }, { rules: { ...listed, resources: '*' } })).toEqual([
      'scope',
      'scopes',
    ])
    expect(against({ ...machine, scope: 'read' }, { rules: { ...listed, scopes: '*' } })).toEqual(['scope', 'scopes'])
    expect(refusal({ ...machine, scope: 'read' }, { builtIn: 'administrator' })).toBeUndefined()
  })

  test.each(['', ' openid', 'openid ', 'openid  email', 'openid\temail', 'a"b', 'a\\b', 'ünlimited', ['openid']])(
    'cannot be %j (RFC 6749 §3.3)',
    (scope) => {
      expect(against({ scope })).toEqual(['scope', 'well_formed'])
    },
  )
})

describe('malformed metadata is refused, and breaks nothing', () => {
  test.each<[string, unknown]>([
    ['redirect_uris', 'https://rp.example/cb'],
    ['redirect_uris', [['https://rp.example/cb']]],
    ['redirect_uris', [null]],
    ['redirect_uris', [7]],
    ['redirect_uris', { length: 1 }],
    ['redirect_uris', ['']],
    ['grant_types', 'client_credentials'],
    ['grant_types', [{ toString: 'client_credentials' }]],
    ['response_types', { 0: 'code' }],
    ['token_endpoint_auth_method', ['none']],
    ['token_endpoint_auth_method', true],
    ['application_type', 'desktop'],
    ['first_party', 'true'],
    ['first_party', 1],
    ['require_pkce', 'false'],
    ['required_scopes', ['openid']],
    ['resources', 'https://api.example'],
    ['resources', ['api']],
    ['resources', ['https://api.example/#x']],
    ['jwks', { keys: 'none' }],
    ['jwks', [{ kty: 'EC' }]],
    ['jwks_uri', ['https://rp.example/jwks']],
    ['logo_uri', {}],
    ['default_max_age', -1],
    ['default_max_age', '60'],
    ['dpop_bound_access_tokens', 'yes'],
    ['client_name', ''],
    ['client_name', 'x'.repeat(201)],
    ['client_name', 'Bank\u202egnp.exe'],
    ['client_name', 'Bank\nYou are safe'],
  ])('for example %s: %j', (field, value) => {
    expect(against({ [field]: value }, { builtIn: 'administrator' })).toEqual([field, 'well_formed'])
  })

  test('such as an array with holes', () => {
    const holes = ['authorization_code']
    holes[2] = 'refresh_token'
    expect(against({ grant_types: holes })).toEqual(['grant_types', 'well_formed'])
  })

  test('and the member that makes it too large is named', () => {
    const metadata = { client_name: 'x', jwks: { keys: [{ kty: 'EC', x: 'x'.repeat(20_000) }] } }
    expect(against(metadata)).toEqual(['jwks', 'max_metadata_bytes'])
  })

  test('and the refusal has only characters that an error description may have (RFC 6749 §5.2)', () => {
    const found = refusal({ application_type: 'native', redirect_uris: ['COM.example.app:a"b'] })
    expect(found?.message).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  })
})

describe('the built-in policy', () => {
  const minimal: Record<string, Metadata> = {
    default: { redirect_uris },
    open: { redirect_uris },
    document: { redirect_uris },
    administrator: { redirect_uris },
  }

  test.each(Object.entries(minimal))(
    '%s accepts minimal metadata, and what it completes that to',
    (builtIn, metadata) => {
      const policy = complete(builtIn)
      expect(refusal(metadata, { builtIn })).toBeUndefined()
      expect(refusal(effective(metadata, policy), { builtIn })).toBeUndefined()
    },
  )

  test('document makes a client public if it does not state its authentication method', () => {
    expect(effective({}, complete('document'))['token_endpoint_auth_method']).toBe('none')
    for (const token_endpoint_auth_method of ['client_secret_basic', 'client_secret_post', 'client_secret_jwt']) {
      expect(against({ token_endpoint_auth_method }, { builtIn: 'document' })).toEqual([
        'token_endpoint_auth_method',
        'token_endpoint_auth_methods',
      ])
    }
  })

  test.each(['open', 'document'])(
    '%s gives strangers a login, but no API, no machine, no device and no groups',
    (builtIn) => {
      expect(refusal({ grant_types: ['authorization_code', 'refresh_token'] }, { builtIn })).toBeUndefined()
      expect(refusal({ scope: 'openid profile email offline_access' }, { builtIn })).toBeUndefined()
      for (const grant of ['client_credentials', 'urn:ietf:params:oauth:grant-type:device_code', 'implicit']) {
        expect(against({ grant_types: [grant] }, { builtIn })).toEqual(['grant_types', 'grant_types'])
      }
      for (const scope of ['groups', 'address', 'read', 'postern:clients']) {
        expect(against({ scope }, { builtIn })).toEqual(['scope', 'scopes'])
      }
      expect(against({ resources: ['https://api.example'] }, { builtIn })).toEqual(['resources', 'resources'])
      expect(effective({}, complete(builtIn))).toMatchObject({
        resources: [],
        scope: 'openid profile email offline_access',
      })
    },
  )

  test('administrator allows metadata that only an administrator may set, and loopback for a web client', () => {
    const metadata = {
      redirect_uris: ['http://localhost:3000/cb', 'http://127.0.0.1/cb'],
      first_party: true,
      require_pkce: false,
      required_scopes: 'openid email',
      resources: ['https://api.example', 'urn:example:api'],
    }
    expect(refusal(metadata, { builtIn: 'administrator' })).toBeUndefined()
  })
})
