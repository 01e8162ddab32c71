import { decodeProtectedHeader, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { assemble, type Postern } from '../../src/assemble/index.ts'
import { parse } from '../../src/config/index.ts'
import { createLogger } from '../../src/log/index.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { discover, login } from '../support/relying-party.ts'
import { publishedKeys } from '../support/wire.ts'

const email = 'ada@example.com'
const resource = 'https://api.example/'
const ttlSeconds = 90
let postern: TestPostern
let client: ClientMetadata
let sub: string

beforeAll(async () => {
  postern = await startPostern()
  sub = (await postern.createAccount(email)).id
  client = await postern.createClient({
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    scope: 'openid offline_access read',
    resources: [resource, 'https://switched.example/', 'https://typed.example/'],
  })
  await postern.createResource({ identifier: resource, tokenFormat: 'jwt', tokenTtlSeconds: ttlSeconds })
})
afterEach(() => vi.useRealTimers())
afterAll(() => postern?.stop())

type Tokens = { access_token: string; expires_in?: number | undefined }

const byCredentials = async (identifier = resource): Promise<Tokens> =>
  oidc.clientCredentialsGrant(await discover(postern, client), { resource: identifier, scope: 'read' })
const request = { email, scope: 'openid offline_access read', resource, tokenParameters: { resource } }
const byCode = async (): Promise<Tokens> => (await login(postern, client, request)).tokens
async function byRefresh(): Promise<Tokens> {
  const { config, tokens } = await login(postern, client, request)
  return oidc.refreshTokenGrant(config, String(tokens.refresh_token), { resource })
}

describe('RFC 9068 §2.2: a JWT access token', () => {
  test.each<[string, () => Promise<Tokens>, () => string]>([
    ['for a code', byCode, () => sub],
    ['for a refresh token', byRefresh, () => sub],
    ['for client credentials', byCredentials, () => client.client_id],
  ])('%s has every required claim, and the lifetime that its API sets', async (_how, get, subject) => {
    const { access_token, expires_in } = await get()
    const { payload, protectedHeader } = await jwtVerify(access_token, await publishedKeys(postern))
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'at+jwt', kid: expect.any(String) })
    expect(payload).toMatchObject({
      iss: postern.issuer,
      aud: resource,
      sub: subject(),
      client_id: client.client_id,
      scope: 'read',
      iat: expect.any(Number),
      exp: expect.any(Number),
      jti: expect.any(String),
    })
    expect(Number(payload.exp) - Number(payload.iat)).toBe(ttlSeconds)
    expect(expires_in).toBe(ttlSeconds)
  })

  test('has a unique identifier', async () => {
    const tokens = await Promise.all(Array.from({ length: 5 }, () => byCredentials()))
    const keys = await publishedKeys(postern)
    const ids = await Promise.all(tokens.map(async (token) => (await jwtVerify(token.access_token, keys)).payload.jti))
    expect(new Set(ids).size).toBe(tokens.length)
  })
})

describe('a change of a resource', () => {
  const freshMs = 5_000 // the documented bound
  const later = () => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + freshMs })
  let other: Postern // stands for another process of the deployment, though it runs within the test
  beforeAll(async () => {
    other = await assemble(parse({ ...postern.env, PORT: '0' }), { log: createLogger('silent') })
  })
  afterAll(() => other?.close())

  test('takes effect in every process within five seconds: format, lifetime, scopes, introspection and deletion', async () => {
    const identifier = 'https://changing.example/'
    const { resourceServers } = other
    const change = (changes: Record<string, unknown>) => operate(postern, 'resource update', { identifier, ...changes })

    await operate(postern, 'resource create', { identifier, scopes: { read: 'Read' } })
    later()
    expect(await resourceServers.find(identifier)).toMatchObject({ tokenFormat: 'opaque', tokenTtlSeconds: undefined })
    await change({
      token_format: 'jwt',
      token_ttl_seconds: 45,
      scopes: { write: 'Write' },
      client_id: client.client_id,
    })
    later()
    expect(await resourceServers.find(identifier)).toMatchObject({
      tokenFormat: 'jwt',
      tokenTtlSeconds: 45,
      scopes: { write: 'Write' },
      clientId: client.client_id,
    })
    const byOther = { kind: 'AccessToken', clientId: 'another', aud: identifier }
    expect(await resourceServers.mayIntrospect({} as never, { clientId: client.client_id }, byOther)).toBe(true)
    await operate(postern, 'resource delete', { identifier })
    later()
    expect(await resourceServers.find(identifier)).toBeUndefined()
    expect(await resourceServers.mayIntrospect({} as never, { clientId: client.client_id }, byOther)).toBe(false)
  })

  test('takes effect for the tokens that are issued then', async () => {
    const identifier = 'https://switched.example/'
    await postern.createResource({ identifier, tokenTtlSeconds: 30 })
    const issued = async () => {
      later()
      const { access_token, expires_in } = await byCredentials(identifier)
      return [access_token.split('.').length, expires_in]
    }
    expect(await issued()).toEqual([1, 30])
    await operate(postern, 'resource update', { identifier, token_format: 'jwt', token_ttl_seconds: 45 })
    expect(await issued()).toEqual([3, 45])
    await operate(postern, 'resource update', { identifier, token_format: 'opaque', token_ttl_seconds: null })
    expect(await issued()).toEqual([1, postern.config.ACCESS_TOKEN_TTL_SECONDS])
  })

  test('takes effect for the typ of its JWTs, and for no other API', async () => {
    const identifier = 'https://typed.example/'
    const api = { identifier, scopes: { read: 'Read' }, token_format: 'jwt', token_type_header: 'JWT' }
    await operate(postern, 'resource create', api)
    const typOf = async (at: string) => decodeProtectedHeader((await byCredentials(at)).access_token).typ
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 }) // after every time that the earlier tests used
    expect([await typOf(identifier), await typOf(resource)]).toEqual(['JWT', 'at+jwt'])
    await operate(postern, 'resource update', { identifier, token_type_header: 'at+jwt' })
    later()
    expect(await typOf(identifier)).toBe('at+jwt')
    const wrong = operate(postern, 'resource update', { identifier, token_type_header: 'jws' })
    await expect(wrong).rejects.toThrow(/token_type_header/)
  })
})
