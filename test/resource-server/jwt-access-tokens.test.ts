import type { ServerResponse } from 'node:http'
import { exportSPKI, generateKeyPair, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Guard, requireToken } from '../../src/resource-server/index.ts'
import { createKey } from '../support/wire.ts'
import { audience, bring, type ForeignServer, goodClaims, refusalOf, startForeignServer } from './foreign-server.ts'

let server: ForeignServer
let guard: Guard
let reasons: string[]

beforeAll(async () => {
  server = await startForeignServer()
})
afterAll(() => server?.stop())
beforeEach(() => {
  reasons = []
  guard = requireToken({
    issuer: server.issuer,
    audience,
    scopes: ['read'],
    onUnavailable: ({ message }) => reasons.push(message),
  })
})

const now = () => Math.floor(Date.now() / 1000)
const ask = (token: string, by = guard) => by.request(bring(token))

describe('RFC 9068 §4: a JWT access token', () => {
  test('that is valid is accepted, and names its owner', async () => {
    const claims = await ask(await server.sign())
    expect(claims).toMatchObject({ iss: server.issuer, sub: 'ada', client_id: 'app', scope: 'read' })
  })

  test('may be for several audiences, and have its type in the form of a media type', async () => {
    const token = await server.sign({ aud: ['https://other.example/', audience] }, { typ: 'application/at+jwt' })
    expect(await ask(token)).toMatchObject({ sub: 'ada' })
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['another audience', { aud: 'https://api.example/notes/' }, 'The token is for another audience'],
    [
      'an audience that merely begins like this one',
      { aud: [`${audience}/more`] },
      'The token is for another audience',
    ],
    ['no audience', { aud: undefined }, 'The token is unknown or no longer valid'],
    [
      'an audience that is not a string',
      { aud: { 0: audience } },
      'The token lacks a required claim, or has a malformed one',
    ],
    ['another issuer', { iss: 'https://login.example' }, 'The token is from another issuer'],
    ['the issuer with a slash', { iss: 'http://localhost/' }, 'The token is from another issuer'],
    ['no issuer', { iss: undefined }, 'The token is unknown or no longer valid'],
    ['no exp', { exp: undefined }, 'The token is unknown or no longer valid'],
    ['no sub', { sub: undefined }, 'The token is unknown or no longer valid'],
    ['no client_id', { client_id: undefined }, 'The token is unknown or no longer valid'],
    ['no iat', { iat: undefined }, 'The token is unknown or no longer valid'],
    ['no jti', { jti: undefined }, 'The token is unknown or no longer valid'],
    ['an exp in the past', { exp: now() - 6 }, 'The token is unknown or no longer valid'],
    ['an exp one second ago', { exp: now() - 1 }, 'The token has expired'],
    ['an exp that is a string', { exp: '9999999999' }, 'The token is unknown or no longer valid'],
    ['an nbf in the future', { nbf: now() + 60 }, 'The token is unknown or no longer valid'],
    ['an iat in the future', { iat: now() + 60 }, 'The token is not valid yet'],
    ['a scope that is not a string', { scope: ['read'] }, 'The token lacks a required claim, or has a malformed one'],
  ])('with %s is rejected', async (_what, claims, error_description) => {
    expect(await refusalOf(ask(await server.sign(claims)))).toMatchObject({
      status: 401,
      error: 'invalid_token',
      error_description,
    })
  })

  test.each(['JWT', 'dpop+jwt', 'logout+jwt', 'id_token+jwt', undefined])(
    'of type %s is rejected, because the same keys sign other JWTs (§4, RFC 8725 §3.11)',
    async (typ) => {
      expect(await refusalOf(ask(await server.sign({}, { typ })))).toMatchObject({
        status: 401,
        error: 'invalid_token',
      })
    },
  )

  test('signed by an unpublished key is rejected, even under the kid of a published one', async () => {
    const foreign = await createKey('ES256')
    for (const kid of ['k1', 'k2', undefined]) {
      const token = await server.sign({}, { kid }, foreign.key)
      expect(await refusalOf(ask(token))).toMatchObject({ status: 401, error: 'invalid_token' })
    }
  })

  test('that contains its own key is rejected (RFC 8725 §3.10)', async () => {
    const foreign = await createKey('ES256')
    const token = await server.sign({}, { jwk: foreign.jwks.keys[0], kid: undefined }, foreign.key)
    expect(await refusalOf(ask(token))).toMatchObject({ status: 401, error: 'invalid_token' })
  })

  test('that is unsigned is rejected (§4, RFC 8725 §3.2)', async () => {
    const token = new UnsecuredJWT(goodClaims(server.issuer)).encode()
    const header = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url')
    const withType = `${header}.${token.split('.')[1]}.`
    for (const unsigned of [token, withType]) {
      expect(await refusalOf(ask(unsigned))).toMatchObject({ status: 401, error: 'invalid_token' })
    }
  })

  test('signed with a public key as a shared secret is rejected (RFC 8725 §2.1)', async () => {
    const { publicKey } = await generateKeyPair('RS256', { extractable: true })
    const secret = new TextEncoder().encode(await exportSPKI(publicKey))
    for (const alg of ['HS256', 'HS512']) {
      const token = await server.sign({}, { alg }, secret)
      expect(await refusalOf(ask(token))).toMatchObject({ status: 401, error: 'invalid_token' })
    }
  })

  test('signed with ML-DSA-65 is accepted, and rejected once its signature was changed (RFC 9964)', async () => {
    const { key, jwks } = await createKey('ML-DSA-65', 'pq')
    server.jwks.keys.push(...jwks.keys)
    const token = await server.sign({}, { alg: 'ML-DSA-65', kid: 'pq' }, key)
    expect(await ask(token)).toMatchObject({ sub: 'ada' })
    const end = token.lastIndexOf('.') + 1
    const changed = `${token.slice(0, end)}${token[end] === 'A' ? 'B' : 'A'}${token.slice(end + 1)}`
    expect(await refusalOf(ask(changed))).toMatchObject({ status: 401, error: 'invalid_token' })
    server.jwks.keys.pop()
  })

  test('signed with an unlisted algorithm is rejected, even if the key is published', async () => {
    const { key, jwks } = await createKey('ML-DSA-44', 'pq')
    server.jwks.keys.push(...jwks.keys)
    const refused = await refusalOf(ask(await server.sign({}, { alg: 'ML-DSA-44', kid: 'pq' }, key)))
    expect(refused).toMatchObject({ status: 401, error: 'invalid_token' })
    server.jwks.keys.pop()
  })

  test('changed after it was signed is rejected', async () => {
    const [header, , signature] = (await server.sign({ scope: 'none' })).split('.')
    const [, payload] = (await server.sign()).split('.')
    const answer = await refusalOf(ask([header, payload, signature].join('.')))
    expect(answer).toMatchObject({ status: 401, error: 'invalid_token' })
  })

  test.each(['nonsense', 'a.b.c', '..', 'e30.e30.e30'])('that is malformed, such as %s, is rejected', async (token) => {
    expect(await refusalOf(ask(token))).toMatchObject({ status: 401, error: 'invalid_token' })
    expect(reasons).toEqual([])
  })
})

describe('the keys of an issuer', () => {
  test('are fetched once, however many tokens come, with known and unknown keys', async () => {
    server.asked.length = 0
    const foreign = await createKey('ES256')
    const tokens = await Promise.all([
      ...Array.from({ length: 10 }, () => server.sign()),
      ...Array.from({ length: 10 }, (_, index) => server.sign({}, { kid: `unknown-${index}` }, foreign.key)),
    ])
    const answers = await Promise.all(tokens.map((token) => ask(token)))
    expect(answers.filter((answer) => answer instanceof Response)).toHaveLength(10)
    for (const token of tokens) await ask(token)
    expect(server.asked.map(({ path }) => path).sort()).toEqual(['/.well-known/oauth-authorization-server', '/jwks'])
  })

  test.each(['/.well-known/oauth-authorization-server', '/jwks'])(
    'that cannot be fetched because %s fails lead to 503, and the token is accepted again afterwards',
    async (failing) => {
      const token = await server.sign()
      for (const fail of [
        (res: ServerResponse) => res.writeHead(500).end(),
        (res: ServerResponse) => res.writeHead(200).end('<html>'),
        (res: ServerResponse) => res.writeHead(200).end('{}'),
        (res: ServerResponse) => res.writeHead(302, { location: server.issuer }).end(),
        (res: ServerResponse) => res.destroy(),
      ]) {
        server.intercept = (path, res) => {
          if (path === failing) fail(res)
          return path === failing
        }
        const refused = await refusalOf(ask(token))
        expect(refused).toMatchObject({ status: 503, error: 'temporarily_unavailable', challenge: null })
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
      }
      expect(reasons).toHaveLength(5)
      for (const reason of reasons) expect(reason).not.toContain(token)
      server.intercept = undefined
      expect(await ask(token)).toMatchObject({ sub: 'ada' })
    },
  )

  test('are not used from metadata of another issuer (RFC 8414 §3.3)', async () => {
    server.intercept = (path, res) => {
      if (!path.startsWith('/.well-known/')) return false
      res.end(JSON.stringify({ ...server.metadata, issuer: `${server.issuer}/` }))
      return true
    }
    expect(await refusalOf(ask(await server.sign()))).toMatchObject({ status: 503 })
    server.intercept = undefined
  })

  test('can be found through OpenID Connect Discovery too, below the path of an issuer (§5)', async () => {
    const issuer = `${server.issuer}/tenants/one`
    const asked: string[] = []
    server.intercept = (path, res) => {
      if (!path.includes('.well-known')) return false
      asked.push(path)
      if (path.startsWith('/tenants/one/')) res.end(JSON.stringify({ ...server.metadata, issuer }))
      else res.writeHead(404).end()
      return true
    }
    const below = requireToken({ issuer, audience, scopes: ['read'] })
    expect(await ask(await server.sign({ iss: issuer }), below)).toMatchObject({ iss: issuer })
    server.intercept = undefined
    expect(asked).toEqual([
      '/.well-known/oauth-authorization-server/tenants/one',
      '/tenants/one/.well-known/openid-configuration',
    ])
  })

  test('are at the address in the metadata, which is fetched every hour, and still used while that fails', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const asksFor = async (...paths: string[]) => {
      server.asked.length = 0
      expect(await ask(await server.sign())).toMatchObject({ sub: 'ada' })
      expect(server.asked.map(({ path }) => path)).toEqual(paths)
    }
    const place = '/.well-known/oauth-authorization-server'
    await asksFor(place, '/jwks')
    vi.advanceTimersByTime(3_599_999)
    await asksFor()
    server.intercept = (path, res) => {
      if (path === place) res.writeHead(500).end()
      return path === place
    }
    vi.advanceTimersByTime(1)
    await asksFor(place)
    await asksFor()
    server.intercept = (path, res) => {
      if (path === place) res.end(JSON.stringify({ ...server.metadata, jwks_uri: `${server.issuer}/moved` }))
      if (path === '/moved') res.end(JSON.stringify(server.jwks))
      return path !== '/jwks'
    }
    vi.advanceTimersByTime(60_000)
    await asksFor(place, '/moved')
    server.intercept = undefined
    vi.useRealTimers()
  })

  test.each(['/.well-known/oauth-authorization-server', '/jwks'])(
    'that take too long because of %s lead to 503',
    async (slow) => {
      server.intercept = (path) => path === slow // it never answers
      const impatient = requireToken({
        issuer: server.issuer,
        audience,
        scopes: ['read'],
        timeoutMs: 50,
        onUnavailable: () => {},
      })
      expect(await refusalOf(ask(await server.sign(), impatient))).toMatchObject({ status: 503 })
      server.intercept = undefined
    },
    5_000,
  )
})
