import { createHash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AnyRequest } from '../../src/resource-server/index.ts'
import { type Guard, type Options, requireToken } from '../../src/resource-server/index.ts'
import { createReplayStore } from '../../src/resource-server/replays.ts'
import { createKey } from '../support/wire.ts'
import { audience, type ForeignServer, refusalOf, startForeignServer } from './foreign-server.ts'

type ProofKey = { key: CryptoKey | Uint8Array; jwk: JWK; jkt: string }
type Differing = { claims?: Record<string, unknown>; header?: Record<string, unknown>; by?: ProofKey }

let server: ForeignServer
let guard: Guard
let own: ProofKey
let foreign: ProofKey
let token: string

beforeAll(async () => {
  server = await startForeignServer()
  own = await createProofKey()
  foreign = await createProofKey()
  guard = guardWith()
  token = await boundTo(own)
})
afterAll(() => server?.stop())

const guardWith = (options: Partial<Options> = {}) =>
  requireToken({
    issuer: server.issuer,
    audience,
    dangerouslyAcceptAnyScope: true,
    onUnavailable: () => {},
    ...options,
  })

const boundTo = ({ jkt }: ProofKey) => server.sign({ cnf: { jkt } })

async function createProofKey(alg = 'ES256'): Promise<ProofKey> {
  const { key, jwks } = await createKey(alg)
  const { kid: _kid, use: _use, ...jwk } = jwks.keys[0] as JWK
  return { key, jwk, jkt: await calculateJwkThumbprint(jwk) }
}

const now = () => Math.floor(Date.now() / 1000)
const ath = (text: string) => createHash('sha256').update(text).digest('base64url')

/** Makes a proof for `GET https://api.example/notes` with the token (RFC 9449 §4.2), with these differences. */
const prove = ({ claims = {}, header = {}, by = own }: Differing = {}) =>
  new SignJWT({
    htm: 'GET',
    htu: 'https://api.example/notes',
    iat: now(),
    jti: randomUUID(),
    ath: ath(token),
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: by.jwk, ...header })
    .sign(by.key, { crit: { x: true } })

type Sent = { proof?: string | string[]; scheme?: string; by?: Guard; method?: string; path?: string; with?: string }

async function ask({
  proof = [],
  scheme = 'DPoP',
  by = guard,
  method = 'GET',
  path = '/notes',
  with: used,
}: Sent = {}) {
  const headers = new Headers({ authorization: `${scheme} ${used ?? token}` })
  for (const one of [proof].flat()) headers.append('dpop', one)
  return by.request(new Request(`http://10.0.0.1:8080${path}`, { method, headers }))
}

describe('RFC 9449 §7.1: a token that is bound to a key', () => {
  test('is accepted with a proof for this request and token, made with this key', async () => {
    expect(await ask({ proof: await prove() })).toMatchObject({ sub: 'ada', cnf: { jkt: own.jkt } })
    expect(await ask({ proof: await prove(), scheme: 'dpop' })).toMatchObject({ sub: 'ada' })
  })

  test.each(['ES384', 'PS256', 'RS256', 'EdDSA', 'Ed25519'])('may be bound to a key for %s', async (alg) => {
    const by = await createProofKey(alg)
    const bound = await boundTo(by)
    const proof = await prove({ by, header: { alg }, claims: { ath: ath(bound) } })
    expect(await ask({ proof, with: bound })).toMatchObject({ sub: 'ada' })
  })

  test('is accepted with an equivalent spelling of the address, without query and fragment (§4.3)', async () => {
    for (const [path, htu] of [
      ['/notes?page=2', 'https://api.example/notes'],
      ['/notes', 'https://api.example/notes?page=2#top'],
      ['/notes', 'HTTPS://API.EXAMPLE:443/notes'],
      ['/notes', 'https://api.example/other/../notes'],
      ['/%7eada/a%2fb', 'https://api.example/~ada/a%2Fb'],
      ['/', 'https://api.example'],
    ] as const) {
      expect(await ask({ path, proof: await prove({ claims: { htu } }) }), htu).toMatchObject({ sub: 'ada' })
    }
  })

  test.each<[string, Differing]>([
    ['another method', { claims: { htm: 'POST' } }],
    ['the method in another case', { claims: { htm: 'get' } }],
    ['no method', { claims: { htm: undefined } }],
    ['another path', { claims: { htu: 'https://api.example/notes/1' } }],
    ['another case of the path', { claims: { htu: 'https://api.example/Notes' } }],
    ['a path with a different encoding', { claims: { htu: 'https://api.example/notes%2F' } }],
    ['another host', { claims: { htu: 'https://other.example/notes' } }],
    ['the Host of the request', { claims: { htu: 'http://10.0.0.1:8080/notes' } }],
    ['another port', { claims: { htu: 'https://api.example:8443/notes' } }],
    ['http', { claims: { htu: 'http://api.example/notes' } }],
    ['only a path', { claims: { htu: '/notes' } }],
    ['no address', { claims: { htu: undefined } }],
    ['the hash of another token', { claims: { ath: ath('another') } }],
    ['no hash of the token', { claims: { ath: undefined } }],
    ['no jti', { claims: { jti: undefined } }],
    ['an empty jti', { claims: { jti: '' } }],
    ['no iat', { claims: { iat: undefined } }],
    ['an old iat', { claims: { iat: now() - 70 } }],
    ['an iat in the future', { claims: { iat: now() + 30 } }],
    ['an exp in the past', { claims: { exp: now() - 30 } }],
    ['another type', { header: { typ: 'JWT' } }],
    ['no type', { header: { typ: undefined } }],
    ['no key', { header: { jwk: undefined } }],
    ['a critical header', { header: { crit: ['x'], x: 1 } }],
  ])('is rejected with a proof that has %s', async (_what, differing) => {
    expect(await refusalOf(ask({ proof: await prove(differing) }))).toMatchObject({
      status: 401,
      error: 'invalid_dpop_proof',
      challenge: expect.stringMatching(/DPoP realm="[^"]*".* error="invalid_dpop_proof".* algs="ES256 [\w ]+"$/),
    })
  })

  test('is rejected with a proof whose encoded slash makes the path a different one (RFC 3986 §2.2)', async () => {
    const proof = await prove({ claims: { htu: 'https://api.example/a%2Fb' } })
    expect(await refusalOf(ask({ path: '/a/b', proof }))).toMatchObject({ status: 401, error: 'invalid_dpop_proof' })
  })

  test('is rejected with a proof signed with an unlisted algorithm', async () => {
    const by = await createProofKey('ML-DSA-44')
    const refused = await refusalOf(ask({ proof: await prove({ by, header: { alg: 'ML-DSA-44' } }) }))
    expect(refused).toMatchObject({ status: 401, error: 'invalid_dpop_proof' })
  })

  test('is rejected with a proof that reveals a private key', async () => {
    const jwk = await exportJWK(own.key)
    expect(jwk.d).toBeTruthy()
    const refused = await refusalOf(ask({ proof: await prove({ header: { jwk } }) }))
    expect(refused).toMatchObject({ status: 401, error: 'invalid_dpop_proof' })
  })

  test('is rejected with a proof signed by another key than it contains', async () => {
    const refused = await refusalOf(ask({ proof: await prove({ by: foreign, header: { jwk: own.jwk } }) }))
    expect(refused).toMatchObject({ status: 401, error: 'invalid_dpop_proof' })
  })

  test('is rejected with a proof that is signed with a secret, or unsigned', async () => {
    const secret = new Uint8Array(32)
    const jwk = { kty: 'oct', k: Buffer.from(secret).toString('base64url') }
    const bySecret = await prove({ by: { key: secret, jwk, jkt: '' }, header: { alg: 'HS256' } })
    const [, payload] = (await prove()).split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'none', typ: 'dpop+jwt', jwk: own.jwk })).toString('base64url')
    for (const proof of [bySecret, `${header}.${payload}.`]) {
      expect(await refusalOf(ask({ proof }))).toMatchObject({ status: 401, error: 'invalid_dpop_proof' })
    }
  })

  test('is rejected with a proof by a weak key', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true, modulusLength: 2048 })
    const jwk = { ...(await exportJWK(publicKey)), e: 'AQAB', n: 'AQAB' }
    const refused = await refusalOf(
      ask({ proof: await prove({ by: { key: privateKey, jwk, jkt: '' }, header: { alg: 'RS256' } }) }),
    )
    expect(refused).toMatchObject({ status: 401, error: 'invalid_dpop_proof' })
  })

  test('is rejected without a proof, with nonsense, and with two proofs', async () => {
    for (const proof of [[], 'nonsense', '', [await prove(), await prove()]]) {
      expect(await refusalOf(ask({ proof }))).toMatchObject({ status: 401, error: 'invalid_dpop_proof' })
    }
  })

  test('is rejected with a valid proof by another key', async () => {
    const refused = await refusalOf(ask({ proof: await prove({ by: foreign }) }))
    expect(refused).toMatchObject({ status: 401, error: 'invalid_token' })
    expect(refused.error_description).toBe('The token is bound to another key')
  })

  test('is rejected as a bearer token, with or without a proof (§7.2)', async () => {
    for (const proof of [[], await prove()]) {
      expect(await refusalOf(ask({ scheme: 'Bearer', proof }))).toMatchObject({
        status: 401,
        error: 'invalid_token',
        challenge: expect.stringMatching(/^Bearer .*error="invalid_token".*, DPoP (?!.*error=).*algs="/),
      })
    }
  })

  test('differs from an unbound one, which is rejected with a proof', async () => {
    token = await server.sign()
    const refused = await refusalOf(ask({ proof: await prove() }))
    expect(refused).toMatchObject({ error: 'invalid_token', error_description: 'The token is not bound to a DPoP key' })
    token = await boundTo(own)
  })

  test('is rejected if it is also bound to a certificate, which nothing would check', async () => {
    const both = await server.sign({ cnf: { jkt: own.jkt, 'x5t#S256': 'x' } })
    const refused = await refusalOf(ask({ with: both, proof: await prove({ claims: { ath: ath(both) } }) }))
    expect(refused).toMatchObject({ status: 401, error: 'invalid_token' })
  })

  test('is accepted below another base address if the API is configured with it', async () => {
    const behindProxy = guardWith({ baseUrl: 'https://www.example/api/v1/' })
    const claims = { htu: 'https://www.example/api/v1/notes' }
    expect(await ask({ by: behindProxy, proof: await prove({ claims }) })).toMatchObject({ sub: 'ada' })
    expect(await refusalOf(ask({ by: behindProxy, proof: await prove() }))).toMatchObject({ status: 401 })
  })

  test.each<[string, (fields: Record<string, string>) => AnyRequest['headers']]>([
    ['as Headers', (fields) => new Headers(fields)],
    ['by name', (fields) => fields],
    [
      'by name in upper case',
      (fields) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toUpperCase(), value])),
    ],
    [
      'by name as lists',
      (fields) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, [value]])),
    ],
  ])('can be read from header fields given %s', async (_how, write) => {
    const headers = write({ authorization: `DPoP ${token}`, dpop: await prove() })
    expect(await guard.verify({ method: 'GET', url: '/notes', headers })).toMatchObject({ token: { sub: 'ada' } })
    const { refusal } = await guard.verify({ method: 'GET', url: '/notes', headers: write({}) })
    expect(refusal?.status).toBe(401)
  })

  test('is rejected with a header field that appears twice', async () => {
    const authorization = `DPoP ${token}`
    const headers = { authorization, Authorization: authorization, dpop: await prove() }
    expect((await guard.verify({ method: 'GET', url: '/notes', headers })).refusal?.status).toBe(400)
  })

  test('cannot be used for another host through a path that looks like one', async () => {
    const proof = await prove({ claims: { htu: 'https://other.example/notes' } })
    for (const url of ['//other.example/notes', 'https://other.example/notes']) {
      const headers = new Headers({ authorization: `DPoP ${token}`, dpop: proof })
      const { refusal } = await guard.verify({ method: 'GET', url, headers })
      expect(refusal?.body).toMatchObject({ error: 'invalid_dpop_proof' })
    }
  })
})

describe('RFC 9449 §11.1: a proof', () => {
  test('is accepted once, however many requests use it at the same time', async () => {
    const proof = await prove()
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask({ proof })))
    expect(answers.filter((answer) => !(answer instanceof Response))).toHaveLength(1)
    expect(await refusalOf(ask({ proof }))).toMatchObject({
      status: 401,
      error: 'invalid_dpop_proof',
      error_description: 'The DPoP proof was used before',
    })
  })

  test('is not used up by another key with the same jti, nor by a rejected request', async () => {
    const claims = { jti: randomUUID() }
    const others = await boundTo(foreign)
    const taken = await prove({ claims: { ...claims, ath: ath(others) }, by: foreign })
    expect(await ask({ with: others, proof: taken })).toMatchObject({ sub: 'ada' })
    expect(await refusalOf(ask({ proof: await prove({ claims, by: foreign }) }))).toMatchObject({ status: 401 })
    expect(await refusalOf(ask({ proof: await prove({ claims: { ...claims, htm: 'POST' } }) }))).toMatchObject({
      status: 401,
    })
    expect(await ask({ proof: await prove({ claims }) })).toMatchObject({ sub: 'ada' })
  })

  test('is accepted once by all processes that share a replay store, for as long as it could be used', async () => {
    const claimed = new Map<string, number>()
    const replayStore = {
      async claim(id: string, expiresAt: number) {
        const isFirst = !claimed.has(id)
        claimed.set(id, expiresAt)
        return isFirst
      },
    }
    const proof = await prove({ claims: { iat: now() + 4 } })
    expect(await ask({ proof, by: guardWith({ replayStore }) })).toMatchObject({ sub: 'ada' })
    expect(await refusalOf(ask({ proof, by: guardWith({ replayStore }) }))).toMatchObject({ status: 401 })
    const [[id, expiresAt] = ['', 0]] = claimed
    expect(id).toMatch(/^[\w-]{43}$/)
    expect(expiresAt).toBeGreaterThanOrEqual(now() + 4 + 65)
  })

  test('is rejected with 503 when it cannot be remembered', async () => {
    const full = createReplayStore(2)
    const failing = { claim: () => Promise.reject(new Error('connection lost')) }
    const by = guardWith({ replayStore: full })
    for (let count = 0; count < 2; count++)
      expect(await ask({ by, proof: await prove() })).toMatchObject({ sub: 'ada' })
    for (const store of [full, failing]) {
      const refused = await refusalOf(ask({ by: guardWith({ replayStore: store }), proof: await prove() }))
      expect(refused).toMatchObject({ status: 503, error: 'temporarily_unavailable' })
    }
  })

  test('is forgotten when it has expired, which makes room for others', async () => {
    const store = createReplayStore(2)
    const past = now() - 1
    expect([store.claim('a', past), store.claim('b', past), store.claim('c', past)]).toEqual([true, true, true])
    expect([store.claim('d', now() + 60), store.claim('e', now() + 60)]).toEqual([true, true])
    expect(() => store.claim('f', now() + 60)).toThrow('More DPoP proofs')
    expect(store.claim('d', now() + 60)).toBe(false)
  })
})

describe('the setting dpop: required', () => {
  test('rejects a token without a key, and offers no other scheme', async () => {
    const by = guardWith({ dpop: 'required' })
    expect(await ask({ by, proof: await prove() })).toMatchObject({ sub: 'ada' })
    const refused = await refusalOf(ask({ by, scheme: 'Bearer', with: await server.sign() }))
    expect(refused.status).toBe(401)
    expect(refused.challenge).toMatch(/^DPoP realm="[^"]*", resource_metadata="[^"]*", algs="[^"]*"$/)
  })
})
