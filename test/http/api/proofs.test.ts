import { createHash, randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { adminToken, call, createAdministrator } from '../../support/admin.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { discover } from '../../support/relying-party.ts'
import { type Answer, send } from '../../support/wire.ts'

type ProofKey = { key: CryptoKey; jwk: JWK }
type Differing = { claims?: Record<string, unknown>; header?: Record<string, unknown>; by?: ProofKey }

let postern: TestPostern
let administrator: ClientMetadata
let own: ProofKey
let foreign: ProofKey
let token: string

beforeAll(async () => {
  postern = await startPostern()
  administrator = await createAdministrator(postern)
  own = await createProofKey()
  foreign = await createProofKey()
  token = await boundToken(own)
})
afterAll(() => postern?.stop())

async function createProofKey(): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  return { key: privateKey, jwk: await exportJWK(publicKey) }
}

const now = () => Math.floor(Date.now() / 1_000)
const ath = (value: string) => createHash('sha256').update(value).digest('base64url')

/** Creates a proof for a request (RFC 9449 §4.2), with the given deviations from a valid one. */
function prove(htm: string, path: string, { claims = {}, header = {}, by = own }: Differing = {}): Promise<string> {
  const about = { htm, htu: `${postern.issuer}${path}`, iat: now(), jti: randomUUID(), ath: ath(token ?? '') }
  return new SignJWT({ ...about, ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: by.jwk, ...header })
    .sign(by.key)
}

async function boundToken(by: ProofKey): Promise<string> {
  const { json } = await send(postern, '/oauth/token', {
    client: administrator,
    form: {
      grant_type: 'client_credentials',
      scope: 'postern:clients',
      resource: `${postern.issuer}/admin/api`,
    },
    headers: { dpop: await prove('POST', '/oauth/token', { by, claims: { ath: undefined } }) },
  })
  expect(json['token_type']).toBe('DPoP')
  return String(json['access_token'])
}

const ask = (dpop: string | undefined, value = token, path = '/clients') =>
  call(postern, path, { headers: { authorization: `DPoP ${value}`, ...(dpop !== undefined && { dpop }) } })
const kindOf = ({ json }: Answer) => String(json['type']).replace('urn:postern:problem:', '')
const challengeOf = ({ headers }: Answer) => headers.get('www-authenticate') ?? ''

describe('RFC 9449 §7: a token for the admin API that is bound to a key', () => {
  test('works with a proof, as openid-client creates it', async () => {
    const client = await createAdministrator(postern)
    const config = await discover(postern, client)
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair())
    const asked = { resource: `${postern.issuer}/admin/api`, scope: 'postern:clients' }
    const { access_token } = await oidc.clientCredentialsGrant(config, asked, { DPoP })
    const fetched = (method: string, url: string, body?: string) =>
      oidc.fetchProtectedResource(
        config,
        access_token,
        new URL(`${postern.issuer}/admin/api${url}`),
        method,
        body,
        new Headers({ 'content-type': 'application/json' }),
        { DPoP },
      )
    expect((await fetched('GET', '/clients?limit=1')).status).toBe(200)
    expect((await fetched('POST', '/clients', '{"redirect_uris":["https://rp.example/cb"]}')).status).toBe(201)
    expect((await fetched('GET', '/clients/Not%2FThere')).status).toBe(404)
  })

  test('does not work without the key (§7.2)', async () => {
    const answer = await call(postern, '/clients', { bearer: token })
    expect([answer.status, kindOf(answer)]).toEqual([401, 'invalid-token'])
  })

  test.each<[string, () => Promise<string | undefined> | undefined]>([
    ['no proof', () => undefined],
    ['a proof that is nonsense', async () => 'nonsense'],
    [
      'two proofs',
      async () => `${await prove('GET', '/admin/api/clients')}, ${await prove('GET', '/admin/api/clients')}`,
    ],
    ['a proof for another method', () => prove('POST', '/admin/api/clients')],
    ['a proof for another path', () => prove('GET', '/admin/api/accounts')],
    ['a proof for another host', () => prove('GET', '', { claims: { htu: 'https://rp.example/admin/api/clients' } })],
    ['a proof for another token', () => prove('GET', '/admin/api/clients', { claims: { ath: ath('another') } })],
    ['a proof for no token', () => prove('GET', '/admin/api/clients', { claims: { ath: undefined } })],
    ['a proof without an identifier', () => prove('GET', '/admin/api/clients', { claims: { jti: undefined } })],
    ['an old proof', () => prove('GET', '/admin/api/clients', { claims: { iat: now() - 120 } })],
    ['a proof from the future', () => prove('GET', '/admin/api/clients', { claims: { iat: now() + 60 } })],
    ['a proof without a time', () => prove('GET', '/admin/api/clients', { claims: { iat: undefined } })],
    ['a proof of another key', () => prove('GET', '/admin/api/clients', { by: foreign })],
    [
      'a proof that shows another key than it is signed with',
      () => prove('GET', '/admin/api/clients', { header: { jwk: foreign.jwk } }),
    ],
    ['a JWT of another type', () => prove('GET', '/admin/api/clients', { header: { typ: 'JWT' } })],
  ])('is rejected with %s', async (_what, proof) => {
    const answer = await ask(await proof())
    expect([answer.status, kindOf(answer)]).toEqual([401, 'invalid-proof'])
    expect(challengeOf(answer)).toMatch(/DPoP realm=.*error="invalid_dpop_proof", algs="[^"]*ES256/)
  })

  test('accepts a proof once, however many requests carry it', async () => {
    const proof = await prove('GET', '/admin/api/clients')
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(proof)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(401)])
  })

  test('works with a proof whose address is spelled in another way (RFC 9449 §4.3)', async () => {
    const spelled = await prove('GET', '/admin/api/%63lients?limit=1')
    expect((await ask(spelled)).status).toBe(200)
    const encoded = await prove('GET', '/admin/api%2Fclients')
    expect((await ask(encoded)).status).toBe(401)
  })

  test('still needs its scope, and says so in the DPoP scheme', async () => {
    const answer = await ask(await prove('GET', '/admin/api/accounts'), token, '/accounts')
    expect([answer.status, kindOf(answer)]).toEqual([403, 'insufficient-scope'])
    expect(challengeOf(answer)).toMatch(/^DPoP realm=.*scope="postern:accounts:read"/)
  })

  test('is not imitated by an unbound token in the DPoP scheme', async () => {
    const plain = await adminToken(postern, administrator, 'postern:clients')
    const proof = await prove('GET', '/admin/api/clients', { claims: { ath: ath(plain) } })
    const answer = await ask(proof, plain)
    expect([answer.status, kindOf(answer)]).toEqual([401, 'invalid-token'])
  })
})
