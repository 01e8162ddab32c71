import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Guard, type Options, requireToken } from '../../src/resource-server/index.ts'
import { audience, bring, type ForeignServer, refusalOf, startForeignServer } from './foreign-server.ts'

const place = 'resource_metadata="https://api.example/.well-known/oauth-protected-resource/notes"'
let server: ForeignServer
let guard: Guard

beforeAll(async () => {
  server = await startForeignServer()
  guard = guardWith({ scopes: ['read'] })
})
afterAll(() => server?.stop())

const guardWith = (options: Partial<Options> = {}) =>
  requireToken({ issuer: server.issuer, audience, dangerouslyAcceptAnyScope: true, ...options })
const ask = (headers: Record<string, string>, path = '/notes', by = guard) =>
  refusalOf(by.request(new Request(`https://api.example${path}`, { headers })))

describe('RFC 6750 §3.1: a request without a token', () => {
  test.each<[string, Record<string, string>]>([
    ['nothing at all', {}],
    ['another scheme', { authorization: 'Basic YTpi' }],
    ['a scheme that merely begins like Bearer', { authorization: 'BearerToken abc' }],
    ['an empty header', { authorization: '' }],
    ['a token in another header', { 'x-access-token': 'abc' }],
  ])('with %s learns how to send one, and no more', async (_what, headers) => {
    const { status, challenge, error } = await ask(headers)
    expect([status, error]).toEqual([401, undefined])
    expect(challenge).toMatch(
      new RegExp(`^Bearer realm="${audience}", ${place}, DPoP realm="${audience}", ${place}, algs="[\\w ]+"$`),
    )
  })

  test('may be one with a token in the query (RFC 9700 §4.3.2) or in the body, where tokens are not read', async () => {
    const token = await server.sign()
    const inQuery = await ask({}, `/notes?access_token=${token}`)
    expect([inQuery.status, inQuery.error]).toEqual([401, undefined])
    const request = new Request('https://api.example/notes', {
      method: 'POST',
      body: new URLSearchParams({ access_token: token }),
    })
    const inBody = await refusalOf(guard.request(request))
    expect([inBody.status, inBody.error]).toEqual([401, undefined])
    expect(request.bodyUsed).toBe(false)
  })
})

describe('RFC 6750 §3.1: invalid_request', () => {
  test.each<[string, string]>([
    ['nothing after the scheme', 'Bearer'],
    ['two tokens', 'Bearer a b'],
    ['two headers', 'Bearer a, Bearer b'],
    ['characters that no token has', 'Bearer "quoted"'],
    ['a parameter', 'Bearer token="a"'],
    ['letters beyond ASCII', 'Bearer caf\u00e9'],
    ['nothing after the other scheme', 'DPoP'],
  ])('is the answer to a header with %s', async (_what, authorization) => {
    const { status, error, challenge } = await ask({ authorization })
    expect([status, error]).toEqual([400, 'invalid_request'])
    expect(challenge).toMatch(/^(Bearer|DPoP) realm="[^"]*", resource_metadata="[^"]*", error="invalid_request"/)
    expect(server.asked).toEqual([])
  })

  test('is the answer to a token that is sent twice, in the header and in the query (§2)', async () => {
    const token = await server.sign()
    const refused = await ask({ authorization: `Bearer ${token}` }, `/notes?a=b&access%5Ftoken=${token}`)
    expect(refused).toMatchObject({ status: 400, error: 'invalid_request' })
  })
})

describe('RFC 6750 §3.1: insufficient_scope', () => {
  test.each([undefined, '', 'write', 'read', 'write:read readable', 'READ write'])(
    'is the answer to a token with the scope %j where two are needed, and names both',
    async (scope) => {
      const token = await server.sign({ scope })
      const refused = await refusalOf(guard.request(bring(token), { scopes: ['read', 'write'] }))
      expect(refused).toMatchObject({ status: 403, error: 'insufficient_scope' })
      expect(refused.challenge).toMatch(/^Bearer .*error="insufficient_scope".*, scope="read write"$/)
    },
  )

  test('is not the answer to a token with more scopes', async () => {
    const token = await server.sign({ scope: 'openid write read' })
    expect(await guard.request(bring(token), { scopes: ['read', 'write'] })).toMatchObject({ sub: 'ada' })
  })

  test('follows the scopes of the route, and without those the scopes of the API', async () => {
    const token = await server.sign({ scope: 'write' })
    expect(await guard.request(bring(token), { scopes: ['write'] })).toMatchObject({ sub: 'ada' })
    for (const demands of [undefined, {}, { scopes: undefined }, { acrValues: [] }]) {
      expect(await refusalOf(guard.request(bring(token), demands))).toMatchObject({ status: 403 })
    }
  })
})

describe('a challenge', () => {
  test('cannot be broken by text inserted into it (RFC 9110 §5.6.4)', async () => {
    const realm = 'a "b", DPoP x="\\y"\r\nSet-Cookie: a=b \u00e9'
    const { challenge } = await ask({}, '/notes', guardWith({ realm }))
    expect(challenge).toMatch(/^Bearer realm="a \\"b\\", DPoP x=\\"\\\\y\\"\?\?Set-Cookie: a=b \?", resource_metadata=/)
  })

  test('is never cached, and neither is its answer', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer nonsense']) {
      expect((await ask({ authorization })).headers.get('cache-control')).toBe('no-store')
    }
  })

  test('names no address of metadata for an audience without one', async () => {
    const by = guardWith({ audience: 'urn:example:notes', baseUrl: 'https://api.example' })
    expect((await ask({}, '/notes', by)).challenge).toMatch(/^Bearer realm="urn:example:notes", DPoP realm=/)
  })
})
