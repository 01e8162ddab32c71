import { CompactSign, exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TrustedIssuer } from '../../src/config/index.ts'
import { judge } from '../../src/registration/policy.ts'
import { complete } from '../../src/registration/rules.ts'
import {
  applyStatement,
  createStatementVerifier,
  type VerifyStatement,
} from '../../src/registration/software-statements.ts'
import { createReceiver } from '../support/receiver.ts'
import { createKey } from '../support/wire.ts'

type Key = Awaited<ReturnType<typeof createKey>>
type Made = { by?: string; header?: Record<string, unknown>; key?: CryptoKey | Uint8Array }

const issuer = 'https://publisher.example'
const other = 'https://other-publisher.example'
const here = 'https://id.example'
const metadata = { client_name: 'App', redirect_uris: ['https://rp.example/cb'] }
const now = () => Math.floor(Date.now() / 1000)
const unreachable = () => Promise.reject(new TypeError('nothing is fetched here'))

let own: Key
let others: Key
let verify: VerifyStatement

beforeAll(async () => {
  own = await createKey('ES256', 'k1')
  others = await createKey('ES256', 'k1')
  verify = createStatementVerifier({
    issuers: [trusted(issuer, own), trusted(other, others)],
    audiences: [here, `${here}/oauth/register`],
    fetch: unreachable,
  })
})

const trusted = (by: string, ...keys: Key[]) =>
  ({ issuer: by, jwks: { keys: keys.flatMap(({ jwks }) => jwks.keys) } }) as TrustedIssuer

const state = (claims: JWTPayload = metadata, { by = issuer, header = {}, key = own.key }: Made = {}) =>
  new SignJWT(claims)
    .setIssuer(by)
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header })
    .sign(key)

const outcomeOf = async (statement: string) => {
  const outcome = await verify(statement)
  return 'claims' in outcome ? 'verified' : outcome.error
}

describe('RFC 7591 §2.3: a software statement is valid', () => {
  test('when a trusted issuer signed it, and then its claims count', async () => {
    expect(await verify(await state())).toEqual({ claims: { ...metadata, iss: issuer } })
  })

  test.each<[string, JWTPayload]>([
    ['when it has not expired yet', { exp: now() + 60 }],
    ['when it comes from a clock that is a little ahead', { nbf: now() + 5 }],
    ['when it is for this server', { aud: here }],
    [
      'when it is for the registration endpoint of this server among others',
      { aud: ['https://other.example', `${here}/oauth/register`] },
    ],
    ['when it has a subject and an id', { sub: 'app', jti: '1' }],
  ])('%s', async (_what, claims) => {
    expect(await outcomeOf(await state(claims))).toBe('verified')
  })

  test.each(['JWT', 'jwt', 'application/jwt'])('when its type is %s', async (typ) => {
    expect(await outcomeOf(await state(metadata, { header: { typ } }))).toBe('verified')
  })

  test.each(['RS256', 'PS256', 'ES384', 'EdDSA', 'Ed25519'])('when it is signed with %s', async (alg) => {
    const created = await createKey(alg)
    const verifyOne = createStatementVerifier({
      issuers: [trusted(issuer, created)],
      audiences: [],
      fetch: unreachable,
    })
    expect(await verifyOne(await state(metadata, { header: { alg }, key: created.key }))).toHaveProperty('claims')
  })

  test('whichever of the issuer’s keys signed it, when it does not name the key', async () => {
    const next = await createKey('ES256', 'k2')
    const verifyEither = createStatementVerifier({
      issuers: [trusted(issuer, own, next)],
      audiences: [],
      fetch: unreachable,
    })
    for (const { key } of [own, next]) {
      const statement = await state(metadata, { header: { kid: undefined }, key })
      expect(await verifyEither(statement)).toHaveProperty('claims')
    }
    const strangers = await state(metadata, { header: { kid: undefined }, key: others.key })
    expect(await verifyEither(strangers)).toMatchObject({ error: 'invalid_software_statement' })
  })
})

describe('RFC 7591 §3.2.2: a software statement is invalid', () => {
  test.each<[string, () => string | Promise<string>]>([
    ['when it is signed with the key of another issuer', () => state(metadata, { key: others.key })],
    ['when it names another issuer', () => state(metadata, { by: other })],
    ['when it is unsigned', () => new UnsecuredJWT(metadata).setIssuer(issuer).encode()],
    ['when its signature is missing', async () => (await state()).replace(/[^.]+$/, '')],
    ['when its signature is incomplete', async () => (await state()).slice(0, -2)],
    [
      'when its claims were changed',
      async () => swapClaims(await state(), { ...metadata, iss: issuer, scope: 'read' }),
    ],
    ['when its header was changed', async () => swapHeader(await state(), { alg: 'none' })],
    ['when its header is not JSON', async () => (await state()).replace(/^[^.]+/, 'header')],
    ['when it names no issuer', () => sign({ ...metadata })],
    ['when its issuer is not a string', () => sign({ ...metadata, iss: [issuer] })],
    ['when its claims are not an object', () => sign([issuer])],
    ['when it names an unknown key', () => state(metadata, { header: { kid: 'k9' } })],
    ['when it has a critical extension', () => sign({ ...metadata, iss: issuer }, { crit: ['x'], x: 1 })],
    ['when it has expired', () => state({ ...metadata, exp: now() - 60 })],
    ['when it is not valid yet', () => state({ ...metadata, nbf: now() + 60 })],
    ['when its exp is not a time', () => sign({ ...metadata, iss: issuer, exp: 'never' })],
    ['when its nbf is not a time', () => sign({ ...metadata, iss: issuer, nbf: 'always' })],
    ['when it is too long', () => state({ client_name: 'x'.repeat(20_000) })],
    ['when it is encrypted', async () => `${await state()}.x.y`],
    ['when it is empty', () => ''],
    ['when it is not a JWT', () => 'statement'],
  ])('%s', async (_what, make) => {
    const statement = await make()
    expect(await verify(statement)).toEqual({
      error: 'invalid_software_statement',
      field: 'software_statement',
      rule: 'software_statement',
      message: expect.stringMatching(/^the software_statement /),
    })
  })

  test('when a public key serves as a shared secret', async () => {
    const secret = new TextEncoder().encode(JSON.stringify(own.jwks.keys[0]))
    expect(await outcomeOf(await state(metadata, { header: { alg: 'HS256' }, key: secret }))).toBe(
      'invalid_software_statement',
    )
    const shared = createStatementVerifier({
      issuers: [{ issuer, jwks: { keys: [{ kty: 'oct', kid: 'k1', k: Buffer.from(secret).toString('base64url') }] } }],
      audiences: [],
      fetch: unreachable,
    })
    const statement = await state(metadata, { header: { alg: 'HS256' }, key: secret })
    expect(await shared(statement)).toMatchObject({ error: 'invalid_software_statement' })
  })

  test('when it contains its own key', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    for (const header of [
      { jwk: await exportJWK(publicKey) },
      { jku: `${here}/jwks`, kid: 'k1' },
      { x5u: `${here}/x5`, kid: 'k1' },
    ]) {
      expect(await outcomeOf(await state(metadata, { header, key: privateKey }))).toBe('invalid_software_statement')
    }
  })

  test.each(['at+jwt', 'logout+jwt', 'dpop+jwt', 'secevent+jwt', 'oauth-authz-req+jwt'])(
    'when it is a token of another type (RFC 8725 §3.11): %s',
    async (typ) => {
      expect(await outcomeOf(await state(metadata, { header: { typ } }))).toBe('invalid_software_statement')
    },
  )
})

describe('RFC 7591 §3.2.2: a software statement is unapproved', () => {
  test.each<[string, () => Promise<string>]>([
    ['when its issuer is not trusted', () => state(metadata, { by: 'https://stranger.example' })],
    ['when its issuer differs from a trusted one by a slash', () => state(metadata, { by: `${issuer}/` })],
    ['when its issuer differs from a trusted one in case', () => state(metadata, { by: issuer.toUpperCase() })],
    ['when its issuer is the name of an object’s built-in member', () => state(metadata, { by: '__proto__' })],
    ['when it is for another server', () => state({ ...metadata, aud: 'https://other.example' })],
    ['when it is for nobody', () => state({ ...metadata, aud: [] })],
  ])('%s', async (_what, make) => {
    expect(await outcomeOf(await make())).toBe('unapproved_software_statement')
  })
})

describe('keys that an issuer publishes', () => {
  test('are fetched with the given fetch, and not for every statement', async () => {
    const receiver = await createReceiver({ body: own.jwks })
    const asked: string[] = []
    const fetching = createStatementVerifier({
      issuers: [{ issuer, jwks_uri: `${receiver.url}/jwks` }],
      audiences: [],
      fetch: (input, init) => {
        asked.push(String(input))
        return fetch(input, init)
      },
    })
    try {
      for (let round = 0; round < 3; round++) expect(await fetching(await state())).toHaveProperty('claims')
      expect(await fetching(await state(metadata, { key: others.key }))).toHaveProperty('error')
      expect(asked).toEqual([`${receiver.url}/jwks`])
    } finally {
      await receiver.stop()
    }
  })

  test('are not fetched for a statement of another issuer', async () => {
    const fetching = createStatementVerifier({
      issuers: [{ issuer, jwks_uri: 'https://publisher.example/jwks' }],
      audiences: [],
      fetch: unreachable,
    })
    const outcome = await fetching(await state(metadata, { by: other, key: others.key }))
    expect(outcome).toMatchObject({ error: 'unapproved_software_statement' })
  })

  test.each<[string, { status?: number; body?: unknown }]>([
    ['that are missing', { status: 404 }],
    ['that are malformed', { body: { keys: 'none' } }],
  ])('%s do not make the statement invalid', async (_what, answer) => {
    const receiver = await createReceiver(answer)
    const fetching = createStatementVerifier({
      issuers: [{ issuer, jwks_uri: `${receiver.url}/jwks` }],
      audiences: [],
      fetch,
    })
    try {
      await expect(fetching(await state())).rejects.toThrow()
    } finally {
      await receiver.stop()
    }
  })
})

describe('RFC 7591 §2.3: a member of the statement replaces that of the client', () => {
  test('even where the client requests less, or something stricter', () => {
    const claims = { scope: 'openid email', dpop_bound_access_tokens: false, redirect_uris: ['https://rp.example/a'] }
    const asked = {
      scope: 'openid',
      dpop_bound_access_tokens: true,
      redirect_uris: ['https://rp.example/a', 'https://rp.example/b'],
    }
    expect(applyStatement(asked, claims)).toEqual(claims)
  })

  test('and a member that the statement omits stays as the client gave it', () => {
    expect(applyStatement(metadata, { client_name: 'Stated' })).toEqual({ ...metadata, client_name: 'Stated' })
  })

  test('and a member that the statement sets to null is removed', () => {
    expect(applyStatement({ ...metadata, jwks_uri: 'https://evil.example/jwks' }, { jwks_uri: null })).toEqual(metadata)
  })

  test('but only if it is client metadata, and the statement itself is kept as presented', () => {
    const claims = {
      iss: issuer,
      sub: 'x',
      aud: here,
      exp: 1,
      iat: 1,
      jti: '1',
      client_id: 'mine',
      client_secret: 'mine',
      client_secret_expires_at: 0,
      client_id_issued_at: 0,
      registration_access_token: 'mine',
      software_statement: 'another',
      policy: 'administrator',
      constructor: 'x',
    }
    const presented = { ...metadata, software_statement: 'a.b.c' }
    expect(applyStatement(presented, claims)).toEqual(presented)
    expect(applyStatement(metadata, JSON.parse('{"__proto__":{"first_party":true}}'))['first_party']).toBeUndefined()
  })

  test('and is checked with the rest', () => {
    const policy = complete('test', { software_statement: 'required' })
    const judged = (claims: JWTPayload) =>
      judge(applyStatement({ ...metadata, software_statement: 'a.b.c' }, claims), {
        policy,
        isLoopbackIssuer: false,
        openScopes: [],
      })
    expect(judged({})).toBeUndefined()
    expect(judged({ redirect_uris: ['http://rp.example/cb'] })).toMatchObject({ rule: 'redirect_uris.https' })
    expect(judged({ first_party: true })).toMatchObject({ rule: 'first_party' })
    expect(judged({ grant_types: 'client_credentials' })).toMatchObject({ rule: 'well_formed' })
  })
})

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const swapClaims = (statement: string, claims: unknown) => statement.replace(/\.[^.]+\./, `.${part(claims)}.`)
const swapHeader = (statement: string, header: unknown) => statement.replace(/^[^.]+/, part(header))

/** Signs claims that the library would refuse to sign. */
function sign(claims: unknown, header: Record<string, unknown> = {}): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header })
    .sign(own.key, { crit: { x: true } })
}
