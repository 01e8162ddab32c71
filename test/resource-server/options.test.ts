import { describe, expect, test } from 'vitest'
import { type Demands, type Options, requireToken } from '../../src/resource-server/index.ts'

const good: Options = { issuer: 'https://login.example', audience: 'https://api.example/', scopes: ['read'] }
const introspection = { clientId: 'api', clientSecret: 'secret' }

describe('requireToken', () => {
  test.each<[string, object]>([
    ['no issuer', { issuer: undefined }],
    ['an issuer over http', { issuer: 'http://login.example' }],
    ['an issuer with a query', { issuer: 'https://login.example?a=b' }],
    ['no audience', { audience: undefined }],
    ['an empty audience', { audience: '' }],
    ['an audience that is not a URI', { audience: 'notes' }],
    ['an audience with a fragment', { audience: 'https://api.example/#notes' }],
    ['an audience that is not an address, and no base address', { audience: 'urn:example:notes' }],
    ['an invalid base address', { baseUrl: '/notes' }],
    ['an unknown value for dpop', { dpop: 'optional' }],
    ['a scope with a space', { scopes: ['read write'] }],
    ['an empty scope', { scopes: [''] }],
    ['scopes in one string', { scopes: 'read write' }],
    ['a scope that would break a challenge', { scopes: ['a"b'] }],
    ['an acr value with a space', { acrValues: ['a b'] }],
    ['a negative age', { maxAgeSeconds: -1 }],
    ['an age that is not a number', { maxAgeSeconds: '300' }],
    ['a timeout of 0', { timeoutMs: 0 }],
    ['an infinite timeout', { timeoutMs: Number.POSITIVE_INFINITY }],
    ['a negative tolerance', { clockToleranceSeconds: -1 }],
    ['introspection without a client', { introspection: {} }],
    ['introspection without a secret', { introspection: { clientId: 'api', clientSecret: '' } }],
    ['introspection that is null', { introspection: null }],
    ['an invalid cache time', { introspection: { ...introspection, cacheSeconds: Number.NaN } }],
    ['an unlimited cache', { introspection: { ...introspection, cacheEntries: Number.POSITIVE_INFINITY } }],
  ])('cannot be created with %s', (_what, options) => {
    expect(() => requireToken({ ...good, ...options } as Options)).toThrow(/^requireToken: /)
  })

  test('can be created with an http issuer on this computer', () => {
    for (const issuer of ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:3000/tenant']) {
      expect(() => requireToken({ ...good, issuer })).not.toThrow()
    }
  })

  test('creates no guard for a route with invalid demands', async () => {
    const guard = requireToken(good)
    const demands = { scopes: ['read write'] } as Demands
    expect(() => guard.koa(demands)).toThrow(TypeError)
    expect(() => guard.express(demands)).toThrow(TypeError)
    await expect(guard.request(new Request(good.audience), demands)).rejects.toThrow(TypeError)
    await expect(guard.verify(new Request(good.audience), demands)).rejects.toThrow(TypeError)
  })

  test.each([
    ['no scopes', {}],
    ['an empty list of scopes', { scopes: [] }],
    ['an opt-out that is not quite one', { dangerouslyAcceptAnyScope: 'yes' }],
  ])('cannot be created with %s, which would accept any token for the API, and says what to do', (_what, options) => {
    const { scopes: _, ...unscoped } = good
    expect(() => requireToken({ ...unscoped, ...options } as Options)).toThrow(
      /scopes must name .* \['notes:read'\].*dangerouslyAcceptAnyScope: true/,
    )
  })

  test('creates no guard for a route that removes the scopes', () => {
    expect(() => requireToken(good).koa({ scopes: [] })).toThrow(/scopes must name/)
  })

  test('can be created without scopes if the option for that is set', () => {
    const { scopes: _, ...unscoped } = good
    const guard = requireToken({ ...unscoped, dangerouslyAcceptAnyScope: true })
    expect(() => guard.koa({ scopes: [] })).not.toThrow()
  })

  test('keeps secrets out of its errors', () => {
    const wrong = { ...introspection, cacheSeconds: -1 }
    expect(() => requireToken({ ...good, introspection: wrong })).toThrow(/^(?!.*\bsecret\b)/)
  })
})
