import { randomBytes, randomUUID } from 'node:crypto'
import { type JWK, SignJWT } from 'jose'
import type { AdapterPayload } from 'oidc-provider'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { adapterWith } from '../../../src/oidc/adapters/index.ts'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import * as expired from '../../../src/stores/operations/expired.ts'
import { type DatabaseProxy, startProxy } from '../../faults/proxy.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { type Answer, createKey, send } from '../../support/wire.ts'

let database: TestDatabase
let proxy: DatabaseProxy
let postern: TestPostern
let machine: ClientMetadata

beforeAll(async () => {
  proxy = await startProxy(inject('postgresUrl'))
  database = await createDatabase()
  postern = await startPostern({
    DATABASE_URL: proxy.urlOf(database.url),
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
  })
  proxy.onlyRequestsOf(postern)
  machine = await postern.createClient({
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })
})
afterEach(() => {
  vi.useRealTimers()
  proxy.accept()
  proxy.heal()
})
afterAll(async () => {
  await postern?.stop()
  await proxy?.close()
  await database?.drop()
})

const adapter = (model: string) => adapterWith(postern.server.postern.storage)(model)

const artifactModels = [
  'AuthorizationCode',
  'AccessToken',
  'RefreshToken',
  'ClientCredentials',
  'DeviceCode',
  'PushedAuthorizationRequest',
  'Interaction',
  'RegistrationAccessToken',
]

describe('an unreachable database', () => {
  const payload = { exp: Math.floor(Date.now() / 1000) + 60, uid: 'u' } as AdapterPayload
  const value = randomBytes(32).toString('base64url')
  type Call = [name: string, call: (model: string) => Promise<unknown>]
  const find: Call = ['find', (model) => adapter(model).find(value)]
  const save: Call = ['upsert', (model) => adapter(model).upsert(value, payload, 60)]
  const destroy: Call = ['destroy', (model) => adapter(model).destroy(value)]
  const others: Call[] = [
    ['findByUserCode', (model) => adapter(model).findByUserCode('ABCDEFGH')],
    ['consume', (model) => adapter(model).consume(value)],
    ['revokeByGrantId', (model) => adapter(model).revokeByGrantId('g')],
  ]
  const cases: [model: string, calls: Call[]][] = [
    ...artifactModels.map((model): [string, Call[]] => [model, [find, save, destroy, ...others]]),
    ['Session', [find, save, destroy, ['findByUid', (model) => adapter(model).findByUid('u')]]],
    ['Grant', [find, destroy]],
    ['Client', [find, destroy]],
    ['InitialAccessToken', [find]],
    ['ReplayDetection', [save, destroy]],
  ]

  test.each(cases)('is never treated as an answer by the methods of a %s', async (_model, calls) => {
    proxy.refuse()
    for (const [name, call] of calls) {
      const outcome = await call(_model).then(
        (found) => ({ name, found }),
        ({ statusCode, error }) => ({ name, statusCode, error }),
      )
      expect(outcome).toEqual({ name, statusCode: 503, error: 'temporarily_unavailable' })
    }
  })
})

/** Sends a token request with a DPoP proof. */
async function ask(proof: string): Promise<Answer> {
  return send(postern, '/oauth/token', {
    client: machine,
    form: { grant_type: 'client_credentials' },
    headers: { dpop: proof },
  })
}

async function prove(issuedInSeconds = 0): Promise<string> {
  const { key, jwks } = await createKey()
  const { kty, crv, x, y } = jwks.keys[0] as Record<string, string>
  const iat = Math.floor(Date.now() / 1000) + issuedInSeconds
  return new SignJWT({ htm: 'POST', htu: `${postern.issuer}/oauth/token`, iat, jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } as JWK })
    .sign(key)
}

describe('RFC 9449 §11.1: a DPoP proof', () => {
  test('is accepted once for as long as it is valid: one dated 290 s ahead is rejected for the next 589 s', async () => {
    const begunAt = Date.now()
    const at = (seconds: number) => vi.useFakeTimers({ toFake: ['Date'], now: begunAt + seconds * 1_000 })
    const proof = await prove(290)
    expect((await ask(proof)).status).toBe(200)
    for (const seconds of [1, 250, 299, 301, 330, 589]) {
      at(seconds)
      await expired.deleteBatch(postern.server.postern.database.db, 'replays', 500)
      const { status, json } = await ask(proof)
      expect([seconds, status, json['error']]).toEqual([seconds, 400, 'invalid_grant'])
    }
    at(330)
    expect((await ask(await prove())).status).toBe(200)
  })

  test('§8: from long before or after now is answered with a nonce of the server', async () => {
    for (const seconds of [-330, 330]) {
      const { status, json, headers } = await ask(await prove(seconds))
      expect([seconds, status, json['error']]).toEqual([seconds, 400, 'use_dpop_nonce'])
      expect(headers.get('dpop-nonce')).toBeTruthy()
    }
  })

  test('yields no token while the server cannot tell whether it was used', async () => {
    const proof = await prove()
    const broken = proxy.cut({ match: (sql) => sql.includes('"replays"'), when: 'before' })
    const { status, json } = await ask(proof)
    await broken
    expect([status, json['error'], json['access_token']]).toEqual([503, 'temporarily_unavailable', undefined])
    expect((await ask(proof)).status).toBe(200)
  })

  test('keeps its record when the engine itself saves another one', async () => {
    const [id, exp] = [randomUUID(), Math.floor(Date.now() / 1000) + 600]
    await adapter('ReplayDetection').upsert(id, { exp } as AdapterPayload, 600)
    await adapter('ReplayDetection').upsert(id, { exp: exp - 500 } as AdapterPayload, 100)
    const rows = await database.query(
      'select extract(epoch from expires_at)::int as exp from replays where expires_at = $1',
      [new Date(exp * 1000)],
    )
    expect(rows).toEqual([{ exp }])
  })
})
