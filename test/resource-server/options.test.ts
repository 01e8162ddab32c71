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
    ['an audience that is no URI', { audience: 'notes' }],
    ['an audience with a fragment', { audience: 'https://api.example/#notes' }],
    ['an audience without an address, and no other address', { audience: 'urn:example:notes' }],
    ['an address that is none', { baseUrl: '/notes' }],
    ['dpop it does not know', { dpop: 'optional' }],
    ['a scope with a space', { scopes: ['read write'] }],
    ['an empty scope', { scopes: [''] }],
    ['scopes in one text', { scopes: 'read write' }],
    ['a scope that breaks out of a challenge', { scopes: ['a"b'] }],
    ['an acr value with a space', { acrValues: ['a b'] }],
    ['a negative age', { maxAgeSeconds: -1 }],
    ['an age that is no number', { maxAgeSeconds: '300' }],
    ['no time to answer', { timeoutMs: 0 }],
    ['all the time in the world', { timeoutMs: Number.POSITIVE_INFINITY }],
    ['a negative tolerance', { clockToleranceSeconds: -1 }],
    ['introspection as nobody', { introspection: {} }],
    ['introspection without a secret', { introspection: { clientId: 'api', clientSecret: '' } }],
    ['introspection that is null', { introspection: null }],
    ['answers that are good forever', { introspection: { ...introspection, cacheSeconds: Number.NaN } }],
    ['answers without a bound', { introspection: { ...introspection, cacheEntries: Number.POSITIVE_INFINITY } }],
  ])('is not made with %s', (_what, options) => {
    expect(() => requireToken({ ...good, ...options } as Options)).toThrow(/^requireToken: /)
  })

  test('is made with an http issuer on this computer', () => {
    for (const issuer of ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:3000/tenant']) {
      expect(() => requireToken({ ...good, issuer })).not.toThrow()
    }
  })

  test('makes no guard of a route whose demands cannot be met', async () => {
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
    ['an opt-out that is only nearly one', { dangerouslyAcceptAnyScope: 'yes' }],
  ])('is not made with %s, which would let in any token for the API, and says what to do', (_what, options) => {
    const { scopes: _, ...unscoped } = good
    expect(() => requireToken({ ...unscoped, ...options } as Options)).toThrow(
      /scopes must name .* \['notes:read'\].*dangerouslyAcceptAnyScope: true/,
    )
  })

  test('makes no guard of a route that takes the scopes away', () => {
    expect(() => requireToken(good).koa({ scopes: [] })).toThrow(/scopes must name/)
  })

  test('is made without scopes where that is asked for by its name', () => {
    const { scopes: _, ...unscoped } = good
    const guard = requireToken({ ...unscoped, dangerouslyAcceptAnyScope: true })
    expect(() => guard.koa({ scopes: [] })).not.toThrow()
  })

  test('keeps secrets out of what it throws', () => {
    const wrong = { ...introspection, cacheSeconds: -1 }
    expect(() => requireToken({ ...good, introspection: wrong })).toThrow(/^(?!.*\bsecret\b)/)
  })
})
