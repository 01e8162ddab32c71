import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Options, requireToken } from '../../src/resource-server/index.ts'
import { createKey } from '../support/wire.ts'
import { audience, bring, type ForeignServer, goodClaims, refusalOf, startForeignServer } from './foreign-server.ts'

let server: ForeignServer
let reasons: string[]

beforeAll(async () => {
  server = await startForeignServer()
})
afterAll(() => server?.stop())
beforeEach(() => {
  server.asked.length = 0
  server.intercept = undefined
  server.introspect = good()
  reasons = []
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const credentials = { clientId: 'api', clientSecret: 'correct horse' }
const good =
  (differing: Record<string, unknown> = {}) =>
  () => ({ active: true, token_type: 'Bearer', ...goodClaims(server.issuer), ...differing })

function guardWith(options: Partial<Options> = {}) {
  return requireToken({
    issuer: server.issuer,
    audience,
    dangerouslyAcceptAnyScope: true,
    onUnavailable: ({ message }) => reasons.push(message),
    introspection: credentials,
    ...options,
  })
}

const ask = (token: string, guard = guardWith()) => guard.request(bring(token))

describe('RFC 7662 §2: the guard asks the authorization server about a token', () => {
  test('by POST, with the API authenticated as a client', async () => {
    const guard = guardWith({ introspection: { clientId: 'the api', clientSecret: 'p+%&: ä' } })
    expect(await ask('opaque', guard)).toMatchObject({ sub: 'ada', client_id: 'app' })
    const [, { authorization, accept, form } = { authorization: '', accept: '', form: undefined }] = server.asked
    // RFC 6749 §2.3.1: each part is form-encoded before they are joined.
    expect(atob(String(authorization?.slice('Basic '.length)))).toBe('the+api:p%2B%25%26%3A+%C3%A4')
    expect(accept).toBe('application/json')
    expect(Object.fromEntries(form ?? [])).toEqual({ token: 'opaque', token_type_hint: 'access_token' })
  })

  test.each<[string, () => unknown, string]>([
    ['not active', () => ({ active: false }), 'The token is unknown or no longer valid'],
    ['for another audience', good({ aud: 'https://other.example/' }), 'The token is for another audience'],
    [
      'for no audience, like a refresh token',
      good({ aud: undefined }),
      'The token lacks a required claim, or has a malformed one',
    ],
    ['from another issuer', good({ iss: 'https://login.example' }), 'The token is from another issuer'],
    ['expired', good({ exp: 1_700_000_000 }), 'The token has expired'],
    ['without an expiry', good({ exp: undefined }), 'The token lacks a required claim, or has a malformed one'],
    ['not valid yet', good({ nbf: 9_999_999_999 }), 'The token is not valid yet'],
    ['bound to a key', good({ cnf: { jkt: 'x' } }), 'The token is bound to a key, and needs proof of it'],
    [
      'bound to a certificate',
      good({ cnf: { 'x5t#S256': 'x' } }),
      'The token is bound to a key, and needs proof of it',
    ],
    ['bound to something unknown', good({ cnf: {} }), 'The token is bound to a key, and needs proof of it'],
    ['bound by its type', good({ token_type: 'DPoP' }), 'The token is bound to a key, and needs proof of it'],
    ['of an unknown type', good({ token_type: 'mac' }), 'The token is bound to a key, and needs proof of it'],
  ])('and rejects one that is %s', async (_what, introspect, error_description) => {
    server.introspect = introspect
    expect(await refusalOf(ask('opaque'))).toMatchObject({ status: 401, error: 'invalid_token', error_description })
    expect(reasons).toEqual([])
  })

  test('and rejects one of an unsupported form, which does not count as an outage', async () => {
    server.intercept = (path, res) => {
      if (path === '/introspect') res.writeHead(400).end('{"error":"unsupported_token_type"}')
      return path === '/introspect'
    }
    expect(await refusalOf(ask('a.b.c'))).toMatchObject({ status: 401, error: 'invalid_token' })
  })

  test.each<[string, number, string, string]>([
    ['refuses our credentials', 401, '{"error":"invalid_client"}', 'answered 401 invalid_client'],
    ['fails', 500, '<html>', 'answered 500 without an error code'],
    ['asks for fewer requests', 429, '{"error":"no words: \\n at all"}', 'answered 429 without an error code'],
    ['answers with nothing', 200, '', 'gave no answer'],
    ['answers with HTML', 200, '<html>', 'gave no answer'],
    ['does not say whether it is active', 200, '{"sub":"ada"}', 'gave no answer'],
    ['says so with a string', 200, '{"active":"true"}', 'gave no answer'],
    ['redirects', 307, '', 'redirect'],
  ])('and answers 503, not blaming the token, when the server %s', async (_what, status, body, reason) => {
    server.intercept = (path, res) => {
      if (path === '/introspect') res.writeHead(status, { location: `${server.issuer}/jwks` }).end(body)
      return path === '/introspect'
    }
    const refused = await refusalOf(ask('opaque'))
    expect(refused).toMatchObject({ status: 503, error: 'temporarily_unavailable', challenge: null })
    expect(refused.headers.get('retry-after')).toBe('5')
    expect(reasons).toHaveLength(1)
    expect(reasons[0]).toContain(reason)
    for (const secret of ['opaque', credentials.clientSecret, btoa(credentials.clientSecret)]) {
      expect(reasons[0]).not.toContain(secret)
    }
  })

  test('and waits no longer than its timeout', async () => {
    server.intercept = (path) => path === '/introspect' // it never answers
    const guard = guardWith({ timeoutMs: 50 })
    expect(await refusalOf(ask('opaque', guard))).toMatchObject({ status: 503 })
  })

  test('but never at an endpoint without https if the issuer has https', async () => {
    const issuer = 'https://login.example'
    for (const introspection_endpoint of [`${server.issuer}/introspect`, 'ftp://login.example/', 'introspect', null]) {
      const sent: string[] = []
      vi.stubGlobal('fetch', async (url: URL) => {
        sent.push(url.pathname)
        return Response.json({ ...server.metadata, issuer, introspection_endpoint })
      })
      expect(await refusalOf(ask('opaque', guardWith({ issuer })))).toMatchObject({ status: 503 })
      expect(sent).toEqual(['/.well-known/oauth-authorization-server'])
      expect(reasons.pop()).toContain('have no introspection_endpoint that can be used')
    }
  })
})

describe('an answer about a token', () => {
  test('is valid for five seconds by default, and not requested again in that time', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const guard = guardWith()
    await ask('opaque', guard)
    server.introspect = () => ({ active: false })
    vi.advanceTimersByTime(4_999)
    expect(await ask('opaque', guard)).toMatchObject({ sub: 'ada' })
    expect(server.introspections()).toBe(1)
    vi.advanceTimersByTime(1)
    expect(await refusalOf(ask('opaque', guard))).toMatchObject({ status: 401 })
    expect(server.introspections()).toBe(2)
  })

  test('is valid from the time it was requested, not from when it arrived', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const guard = guardWith({ introspection: { ...credentials, cacheSeconds: 1 } })
    server.introspect = () => {
      vi.advanceTimersByTime(900)
      return good()()
    }
    await ask('opaque', guard)
    vi.advanceTimersByTime(100)
    await ask('opaque', guard)
    expect(server.introspections()).toBe(2)
  })

  test('is never valid beyond the exp of its token', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const guard = guardWith({ introspection: { ...credentials, cacheSeconds: 3_600 } })
    await ask('opaque', guard)
    vi.setSystemTime(Date.now() + 60_000)
    expect(await refusalOf(ask('opaque', guard))).toMatchObject({ error_description: 'The token has expired' })
    expect(server.introspections()).toBe(1)
  })

  test('is requested every time when so configured', async () => {
    const guard = guardWith({ introspection: { ...credentials, cacheSeconds: 0 } })
    for (let count = 1; count <= 3; count++) {
      await ask('opaque', guard)
      expect(server.introspections()).toBe(count)
    }
  })

  test('that the token is invalid is not cached', async () => {
    const guard = guardWith()
    server.introspect = () => ({ active: false })
    await ask('opaque', guard)
    server.introspect = good()
    expect(await ask('opaque', guard)).toMatchObject({ sub: 'ada' })
  })

  test('that failed is not cached', async () => {
    const guard = guardWith()
    server.introspect = () => 'nonsense'
    expect(await refusalOf(ask('opaque', guard))).toMatchObject({ status: 503 })
    server.introspect = good()
    expect(await ask('opaque', guard)).toMatchObject({ sub: 'ada' })
  })

  test('is shared by requests at the same time, and each gets a copy of its own', async () => {
    const guard = guardWith()
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('opaque', guard)))
    expect(server.introspections()).toBe(1)
    expect(new Set(answers).size).toBe(20)
  })

  test('cannot be changed by code that receives it', async () => {
    const guard = guardWith({ scopes: ['read'] })
    for (let attempt = 0; attempt < 3; attempt++) {
      const claims = (await ask('opaque', guard)) as { scope: string; aud: unknown }
      expect(claims.scope).toBe('read')
      claims.scope = 'read write'
      expect(await refusalOf(guard.request(bring('opaque'), { scopes: ['write'] }))).toMatchObject({ status: 403 })
    }
    expect(server.introspections()).toBe(1)
  })

  test('does not apply to another token', async () => {
    const guard = guardWith()
    server.introspect = (token) => good({ sub: token })()
    for (const token of ['one', 'two', 'One', 'one']) expect(await ask(token, guard)).toMatchObject({ sub: token })
    expect(server.introspections()).toBe(3)
  })

  test('is forgotten when there are too many, the oldest first', async () => {
    const guard = guardWith({ introspection: { ...credentials, cacheEntries: 100 } })
    for (let count = 0; count <= 100; count++) await ask(`token-${count}`, guard)
    expect(server.introspections()).toBe(101)
    await ask('token-1', guard)
    expect(server.introspections()).toBe(101)
    await ask('token-0', guard)
    expect(server.introspections()).toBe(102)
  })

  test('that was requested again does not count as the oldest', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const guard = guardWith({ introspection: { ...credentials, cacheEntries: 2 } })
    for (const token of ['one', 'two']) await ask(token, guard)
    vi.advanceTimersByTime(5_000)
    for (const token of ['one', 'three', 'one']) await ask(token, guard)
    expect(server.introspections()).toBe(4)
  })

  test('for one API, or requested by one client, is not used for another (CVE-2026-33496)', async () => {
    const token = randomUUID()
    const mine = guardWith()
    const other = guardWith({ audience: 'https://other.example/' })
    const stranger = guardWith({ introspection: { clientId: 'stranger', clientSecret: 'x' } })
    expect(await ask(token, mine)).toMatchObject({ sub: 'ada' })
    expect(await refusalOf(ask(token, other))).toMatchObject({ error_description: 'The token is for another audience' })
    server.introspect = () => ({ active: false })
    expect(await refusalOf(ask(token, stranger))).toMatchObject({ status: 401 })
    expect(await ask(token, mine)).toMatchObject({ sub: 'ada' })
    expect(server.introspections()).toBe(3)
  })
})

describe('RFC 9701 §5: a signed answer', () => {
  const header = { typ: 'token-introspection+jwt' }
  const signed = (differing: Record<string, unknown> = {}) => ({
    aud: 'api',
    exp: undefined,
    token_introspection: { active: true, ...goodClaims(server.issuer) },
    ...differing,
  })
  const askFor = async (answer: string) => {
    server.intercept = (path, res) => {
      if (path === '/introspect')
        res.writeHead(200, { 'content-type': 'application/token-introspection+jwt' }).end(answer)
      return path === '/introspect'
    }
    return ask('opaque', guardWith({ introspection: { ...credentials, signed: true } }))
  }

  test('is requested and verified', async () => {
    expect(await askFor(await server.sign(signed(), header))).toMatchObject({ sub: 'ada', scope: 'read' })
    expect(server.asked.find(({ path }) => path === '/introspect')?.accept).toBe('application/token-introspection+jwt')
  })

  test('can also say that a token is invalid', async () => {
    const answer = await server.sign(signed({ token_introspection: { active: false } }), header)
    expect(await refusalOf(askFor(answer))).toMatchObject({ status: 401, error: 'invalid_token' })
  })

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['for another client', { aud: 'stranger' }, {}],
    ['from another issuer', { iss: 'https://login.example' }, {}],
    ['with an iat long ago', { iat: 1_700_000_000 }, {}],
    ['without iat', { iat: undefined }, {}],
    ['with the type of another JWT', {}, { typ: 'at+jwt' }],
    ['without its content', { token_introspection: undefined }, {}],
  ])('%s is rejected with 503', async (_what, claims, differing) => {
    const answer = await server.sign(signed(claims), { ...header, ...differing })
    expect(await refusalOf(askFor(answer))).toMatchObject({ status: 503 })
  })

  test('signed with another key, or unsigned, is rejected with 503', async () => {
    const foreign = await createKey('ES256')
    expect(await refusalOf(askFor(await server.sign(signed(), header, foreign.key)))).toMatchObject({ status: 503 })
    expect(await refusalOf(askFor(JSON.stringify(good()())))).toMatchObject({ status: 503 })
  })
})
