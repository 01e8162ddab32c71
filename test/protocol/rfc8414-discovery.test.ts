import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { grantTypes } from '../../src/registration/metadata.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { knock, send } from '../support/wire.ts'

const documents = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']
let postern: TestPostern
let metadata: Record<string, unknown>

beforeAll(async () => {
  postern = await startPostern()
  metadata = (await send(postern, String(documents[0]))).json
})
afterAll(() => postern?.stop())

const list = (name: string) => metadata[name] as string[]

describe('OpenID Connect Discovery §3, RFC 8414 §3: the metadata', () => {
  test('is the same at both addresses, and readable from any origin', async () => {
    const [one, two] = await Promise.all(documents.map((path) => send(postern, path)))
    expect(one?.text).toBe(two?.text)
    expect(one?.headers.get('content-type')).toMatch(/^application\/json\b/)
    expect(one?.headers.get('access-control-allow-origin')).toBe('*')
    expect(metadata['issuer']).toBe(postern.issuer)
  })

  test('names every endpoint below the issuer, at the documented addresses', () => {
    const endpoints = Object.entries(metadata).filter(([name]) => /(_endpoint|_uri)$/.test(name))
    expect(Object.fromEntries(endpoints)).toEqual({
      authorization_endpoint: `${postern.issuer}/oauth/authorize`,
      token_endpoint: `${postern.issuer}/oauth/token`,
      registration_endpoint: `${postern.issuer}/oauth/register`,
      introspection_endpoint: `${postern.issuer}/oauth/introspect`,
      revocation_endpoint: `${postern.issuer}/oauth/revoke`,
      pushed_authorization_request_endpoint: `${postern.issuer}/oauth/par`,
      device_authorization_endpoint: `${postern.issuer}/oauth/device_authorization`,
      userinfo_endpoint: `${postern.issuer}/oauth/userinfo`,
      jwks_uri: `${postern.issuer}/oauth/jwks`,
      end_session_endpoint: `${postern.issuer}/oauth/logout`,
    })
  })

  test('names only endpoints that exist', async () => {
    for (const [name, url] of Object.entries(metadata).filter(([key]) => /(_endpoint|_uri)$/.test(key))) {
      const isRead = /^(authorization|userinfo|end_session|jwks)/.test(name)
      const { status } = await send(postern, String(url), isRead ? {} : { form: { x: 'y' } })
      expect([name, status === 404 || status >= 500]).toEqual([name, false])
    }
  })

  test('advertises nothing that is weak or off', () => {
    expect(list('code_challenge_methods_supported')).toEqual(['S256'])
    expect(list('response_types_supported')).toEqual(['code'])
    expect(list('grant_types_supported').sort()).toEqual([
      'authorization_code',
      'client_credentials',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
    ])
    expect(list('grant_types_supported').sort()).toEqual([...grantTypes].sort())
    expect(metadata['request_uri_parameter_supported']).toBe(false)
    expect(Object.keys(metadata).filter((name) => name.includes('encryption'))).toEqual([])
    for (const [name, values] of Object.entries(metadata).filter(([key]) => key.includes('signing_alg'))) {
      expect([name, (values as string[]).includes('none')]).toEqual([name, false])
      const isSecret = name.endsWith('_endpoint_auth_signing_alg_values_supported') // client_secret_jwt
      if (!isSecret) expect([name, (values as string[]).filter((alg) => alg.startsWith('HS'))]).toEqual([name, []])
    }
  })

  test('advertises what is on', () => {
    expect(metadata).toMatchObject({
      authorization_response_iss_parameter_supported: true,
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      claims_parameter_supported: true,
      request_parameter_supported: true,
      subject_types_supported: ['public', 'pairwise'],
    })
    expect(list('scopes_supported')).toEqual(expect.arrayContaining(['openid', 'profile', 'email', 'offline_access']))
    expect(list('claims_supported')).toEqual(expect.arrayContaining(['sub', 'email', 'name']))
  })

  test('lists the authentication methods of each endpoint, strongest first', () => {
    const secret = ['private_key_jwt', 'client_secret_jwt', 'client_secret_basic', 'client_secret_post']
    expect(list('token_endpoint_auth_methods_supported')).toEqual([...secret, 'none'])
    expect(list('revocation_endpoint_auth_methods_supported')).toEqual([...secret, 'none'])
    expect(list('introspection_endpoint_auth_methods_supported')).toEqual(secret) // RFC 7662 §2.1
    for (const endpoint of ['revocation', 'introspection']) {
      expect(list(`${endpoint}_endpoint_auth_signing_alg_values_supported`)).toEqual(
        list('token_endpoint_auth_signing_alg_values_supported'),
      )
    }
  })

  test('names only signing algorithms that have a published key', async () => {
    const { keys } = (await send(postern, '/oauth/jwks')).json as { keys: { alg: string }[] }
    for (const name of [
      'id_token_signing_alg_values_supported',
      'userinfo_signing_alg_values_supported',
      'introspection_signing_alg_values_supported',
      'authorization_signing_alg_values_supported',
    ]) {
      expect([name, [...list(name)].sort()]).toEqual([name, keys.map(({ alg }) => alg).sort()])
    }
  })

  test('names only ID token algorithms that a client can register', async () => {
    for (const id_token_signed_response_alg of list('id_token_signing_alg_values_supported')) {
      expect((await postern.createClient({ id_token_signed_response_alg })).client_id).toBeTruthy()
    }
  })
})

describe('RFC 8414 §6.2: the metadata cannot be falsified:', () => {
  const lies: Record<string, string>[] = [
    { 'x-forwarded-host': 'evil.example' },
    { 'x-forwarded-proto': 'https' },
    { 'x-forwarded-proto': 'gopher', 'x-forwarded-host': 'evil.example', 'x-forwarded-port': '1' },
    { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-prefix': '/evil' },
    { forwarded: 'host=evil.example;proto=https' },
    { 'x-original-host': 'evil.example', 'x-host': 'evil.example' },
    { origin: 'https://evil.example' },
  ]

  test('forwarded headers of an untrusted peer change not a byte', async () => {
    for (const path of documents) {
      const { text } = await send(postern, path)
      const { host } = new URL(postern.issuer)
      for (const lie of lies) {
        const answer = await knock(postern.server.port, path, { headers: { host, ...lie } })
        expect([lie, answer.status, answer.text]).toEqual([lie, 200, text])
      }
    }
  })

  test('another Host is answered with 421 at every path', async () => {
    const { port } = postern.server
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      'localhost',
      `127.0.0.1:${port}`,
      `localhost:${port}.`,
    ]) {
      for (const path of [...documents, '/oauth/token', '/']) {
        const answer = await knock(port, path, { headers: { host } })
        expect([host, path, answer.status]).toEqual([host, path, 421])
        expect(answer.text).not.toContain('_endpoint')
      }
    }
  })

  test('a trusted proxy may name the same host, and no other', async () => {
    const proxied = await startPostern({ ISSUER: 'https://id.example', TRUSTED_PROXIES: '127.0.0.1,::1' })
    try {
      const ask = (headers: Record<string, string>) =>
        knock(proxied.server.port, String(documents[0]), { headers: { host: 'internal:3000', ...headers } })
      const good = await ask({ 'x-forwarded-host': 'id.example', 'x-forwarded-proto': 'https' })
      expect([good.status, good.json['token_endpoint']]).toEqual([200, 'https://id.example/oauth/token'])
      for (const headers of [
        {},
        { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' },
        { 'x-forwarded-host': 'id.example', 'x-forwarded-proto': 'http' },
        { 'x-forwarded-host': 'id.example, evil.example', 'x-forwarded-proto': 'https' },
      ]) {
        expect([headers, (await ask(headers)).status]).toEqual([headers, 421])
      }
    } finally {
      await proxied.stop()
    }
  })
})
