import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { AdapterPayload } from 'oidc-provider'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commit } from '../../src/oidc/adapters/commit.ts'
import { missingFact } from '../../src/oidc/adapters/engine-models.ts'
import { adapterWith, assertModelsKnown } from '../../src/oidc/adapters/index.ts'
import type { Endpoint } from '../../src/oidc/endpoints.ts'
import { assertDecisionRests } from '../../src/oidc/request/basis.ts'
import { createWork, current, run, type Work } from '../../src/oidc/request/work.ts'
import * as clients from '../../src/stores/clients/clients.ts'
import * as expired from '../../src/stores/operations/expired.ts'
import type { Artifact } from '../../src/stores/protocol/artifacts.ts'
import * as grants from '../../src/stores/protocol/grants.ts'
import { type Facts, factsOf } from '../../src/stores/protocol/models.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, beginLogin, completeLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { age, answerOf, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
const scope = 'openid offline_access'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600
const browserCookie = { name: 'tests', value: randomBytes(32).toString('base64url') }
const randomValue = () => randomBytes(32).toString('base64url')
let postern: TestPostern
let strict: TestPostern
let client: clients.ClientMetadata
let strictClient: clients.ClientMetadata
let accountId: string

beforeAll(async () => {
  postern = await startPostern()
  strict = await startPostern({ REFRESH_TOKEN_REUSE_WINDOW_SECONDS: '0' })
  accountId = (await postern.createAccount(email)).id
  await strict.createAccount(email)
  client = await postern.createClient()
  strictClient = await strict.createClient()
})
afterAll(async () => {
  await postern?.stop()
  await strict?.stop()
})

const storage = () => postern.server.postern.storage
const adapter = (model: string) => adapterWith(storage())(model)

/** Runs what one HTTP request does with the adapter, from its first read to the write at its end. */
function request<T>(handler: () => Promise<T>, endpoint: Endpoint = 'other'): Promise<T> {
  const work = createWork({ endpoint, requestId: 'r', address: '127.0.0.1' })
  work.browser = { presented: [browserCookie], bound: undefined }
  return run(work, async () => {
    const result = await handler()
    const error = await commit(storage(), work, { hasFailed: false })
    if (error) throw error
    return result
  })
}

const save = (model: string, id: string, payload: object) =>
  alone(() => adapter(model).upsert(id, { exp: inAnHour(), ...payload } as AdapterPayload, 3600))
const find = (model: string, id: string) => alone(() => adapter(model).find(id))

/** Runs work in the current request, or otherwise in a request of its own. */
const alone = <T>(work: () => Promise<T>): Promise<T> => (current() ? work() : request(work))

const artifactModels = [
  'AuthorizationCode',
  'AccessToken',
  'RefreshToken',
  'ClientCredentials',
  'DeviceCode',
  'Interaction',
  'PushedAuthorizationRequest',
  'RegistrationAccessToken',
]
const models = [...artifactModels, 'InitialAccessToken', 'Session', 'Grant', 'Client']

/** Gives the client that a registration access token cannot exist without. */
const owned = (model: string) => (model === 'RegistrationAccessToken' ? { clientId: client.client_id } : {})

/** Creates something live of every model, and returns the values that find it. */
async function oneOfEach(): Promise<Map<string, string>> {
  const values = new Map<string, string>()
  for (const model of artifactModels) {
    values.set(model, randomValue())
    await save(model, String(values.get(model)), { kind: model, returnTo: '/', ...owned(model) })
  }
  const made = (await operate(postern, 'registration-token create', {})) as { initial_access_token: string }
  values.set('InitialAccessToken', made.initial_access_token)
  values.set('Session', randomValue())
  await save('Session', String(values.get('Session')), { uid: randomValue(), kind: 'Session' })
  values.set('Grant', await createGrant())
  values.set('Client', client.client_id)
  return values
}

let people = 0
async function createGrant(): Promise<string> {
  const person = await postern.createAccount(`person-${++people}@example.com`)
  const pair = { accountId: person.id, clientId: client.client_id }
  const exp = inAnHour()
  return storage()
    .db.transaction()
    .execute((tx) => grants.change(tx, pair, () => ({ payload: { ...pair, exp }, shown: {}, expiresAtSeconds: exp })))
}

describe('a value of one model', () => {
  test(`is not found as another, for all ${models.length * (models.length - 1)} ordered pairs, even if the request has already read it`, async () => {
    const values = await oneOfEach()
    const crossed: string[] = []
    for (const [model, value] of values) {
      expect(await find(model, value), model).toBeTruthy()
      for (const other of models.filter((name) => name !== model)) {
        if (await find(other, value)) crossed.push(`${model} as ${other}`)
        const both = await request(async () => [await find(model, value), await find(other, value)])
        expect(both[0]).toBeTruthy()
        if (both[1]) crossed.push(`${model} as ${other}, in one request`)
      }
    }
    expect(crossed).toEqual([])
  })

  test('can be neither consumed nor destroyed as another', async () => {
    for (const model of artifactModels) {
      const value = randomValue()
      await save(model, value, { returnTo: '/', ...owned(model) })
      for (const other of artifactModels.filter((name) => name !== model)) {
        await adapter(other)
          .consume(value)
          .catch(() => {})
        await adapter(other).destroy(value)
      }
      const found = await find(model, value)
      expect([model, found !== undefined, found?.consumed]).toEqual([model, true, undefined])
    }
  })
})

describe('an interaction', () => {
  const as = (value: string | undefined, work: () => Promise<unknown>) =>
    request(() => {
      const presented = value === undefined ? [] : [{ name: 'x', value }]
      Object.assign(current() as object, { browser: { presented, bound: undefined } })
      return work()
    })

  test('is found only by the browser where it began, and never if it was saved without one, as by an earlier release', async () => {
    const [own, other, id, unbound] = [randomValue(), randomValue(), randomValue(), randomValue()]
    await as(own, () => save('Interaction', id, { returnTo: '/' }))
    await adapter('Interaction').upsert(unbound, { exp: inAnHour(), returnTo: '/' } as AdapterPayload, 3600)
    expect(await as(own, () => find('Interaction', id))).toBeTruthy()
    for (const browser of [other, undefined]) expect(await as(browser, () => find('Interaction', id))).toBeUndefined()
    for (const browser of [own, undefined])
      expect(await as(browser, () => find('Interaction', unbound))).toBeUndefined()
    for (const value of [id, unbound]) expect(await adapter('Interaction').find(value)).toBeUndefined()
  })

  test('belongs to the same browser after it is saved again', async () => {
    const [own, other, id] = [randomValue(), randomValue(), randomValue()]
    await as(own, () => save('Interaction', id, { returnTo: '/' }))
    await as(own, async () => save('Interaction', id, { ...(await find('Interaction', id)), result: {} }))
    expect(await as(own, () => find('Interaction', id))).toMatchObject({ result: {} })
    expect(await as(other, () => find('Interaction', id))).toBeUndefined()
  })
})

/** The answer to a person whose device has been decided on already. */
const alreadyDone = { name: 'SessionNotFound', page: 'already-done' }

describe('something that was destroyed, when a request that still holds it saves it', () => {
  test('stays gone if it is a session', async () => {
    const [id, uid] = [randomValue(), randomValue()]
    await save('Session', id, { uid, accountId })
    await request(async () => {
      const held = await find('Session', id)
      await request(() => adapter('Session').destroy(id))
      await save('Session', id, { ...held, late: true })
    })
    expect([await find('Session', id), await adapter('Session').findByUid(uid)]).toEqual([undefined, undefined])
  })

  test('stays gone if it is an interaction', async () => {
    const id = randomValue()
    await save('Interaction', id, { returnTo: '/' })
    await request(async () => {
      const held = await find('Interaction', id)
      await request(() => adapter('Interaction').destroy(id))
      await save('Interaction', id, { ...held, result: { login: { accountId } } })
    })
    expect(await find('Interaction', id)).toBeUndefined()
  })

  test('stays gone if it is a grant, which only a consent can save', async () => {
    const id = await createGrant()
    const held = await grants.findById(storage().db, id)
    await adapter('Grant').destroy(id)
    await expect(save('Grant', id, held?.payload ?? {})).rejects.toThrow('This model has no upsert.')
    await grants.extend(storage().db, id, inAnHour())
    expect(await find('Grant', id)).toBeUndefined()
  })

  test('stays gone if it is a client', async () => {
    const { client_id } = await postern.createClient()
    const held = { ...(await find('Client', client_id)), client_id } as clients.ClientMetadata
    await adapter('Client').destroy(client_id)
    await expect(save('Client', client_id, held)).rejects.toThrow('at the registration endpoint')
    const { db, envelope } = storage()
    const origin = { isDynamic: true, policy: 'default' }
    expect(await db.transaction().execute((tx) => clients.save(tx, envelope, held, origin))).toBe('gone')
    expect(await find('Client', client_id)).toBeUndefined()
    const rows = await postern.database.query('select metadata, secret_sealed from clients where id = $1', [client_id])
    expect(rows).toEqual([{ metadata: {}, secret_sealed: null }])
  })

  test.each(['RefreshToken', 'AuthorizationCode', 'DeviceCode'])('stays gone if it is a %s', async (model) => {
    const id = randomValue()
    await save(model, id, {})
    const late = request(async () => {
      const held = await find(model, id)
      await request(() => adapter(model).destroy(id))
      await save(model, id, held ?? {})
    })
    await expect(late).rejects.toMatchObject(model === 'DeviceCode' ? alreadyDone : { error: 'invalid_grant' })
    expect(await find(model, id)).toBeUndefined()
  })
})

describe('a decision or a use is final', () => {
  test('RFC 8628 §3.3: the first of two decisions about a device wins', async () => {
    const [id, userCode] = [randomValue(), randomValue().slice(0, 8)]
    const byUserCode = () => adapter('DeviceCode').findByUserCode(userCode)
    await save('DeviceCode', id, { userCode })
    const late = request(async () => {
      const held = await byUserCode()
      await request(async () => {
        const own = await byUserCode()
        await save('DeviceCode', String(own?.jti), { ...own, accountId })
      })
      await save('DeviceCode', String(held?.jti), { ...held, error: 'access_denied' })
    })
    await expect(late).rejects.toMatchObject(alreadyDone)
    const found = await find('DeviceCode', id)
    expect([found?.accountId, found?.error]).toEqual([accountId, undefined])
  })

  test.each<[endpoint: Work['endpoint'], clientId: string | undefined]>([
    ['other', 'app'],
    ['token', 'app'],
    ['device', undefined],
  ])('the decision of a person cannot be stored at the endpoint %s for the client %s', (endpoint, clientId) => {
    const decided = { model: 'DeviceCode', accountId } as Artifact
    const decide = (work: Work) =>
      assertDecisionRests({ ...work, writes: { ...work.writes, decision: decided } }, clientId)
    expect(() => decide(createWork({ endpoint, requestId: 'r', address: '' }))).toThrow('A DeviceCode is decided')
    expect(() => assertDecisionRests(createWork({ endpoint, requestId: 'r', address: '' }), clientId)).not.toThrow()
  })

  test.each(artifactModels)(
    '%s: saving what was read before it was consumed does not make it unused again',
    async (model) => {
      const id = randomValue()
      await save(model, id, { returnTo: '/', ...owned(model) })
      await request(async () => {
        const held = await find(model, id)
        await request(() => adapter(model).consume(id))
        await save(model, id, { ...held, consumed: undefined })
      })
      expect((await find(model, id))?.consumed).toBeGreaterThan(0)
    },
  )
})

const hashesOf = async (model: string) =>
  (await postern.database.query(`select encode(id_hash, 'hex') as hash from artifacts where model = $1`, [model])).map(
    ({ hash }) => `#${hash}`,
  )

const ask = (form: Record<string, string>, on = postern, who = client) =>
  send(on, '/oauth/token', { client: who, form })

async function mayEnter(cookies: Map<string, { value: string; path: string }>): Promise<string | undefined> {
  const visitor = createVisitor(postern.issuer, { cookies: new Map(cookies) })
  const config = await discover(postern, client)
  const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'none' })
  return answerOf(page.url)['error']
}

/** Signs a cookie as only the provider can: even someone who knows the key must not get in with a hash. */
function signedCookies(value: string): Map<string, { value: string; path: string }> {
  const [key = ''] = postern.server.postern.keyring.cookieKeys.reveal()
  const signature = createHmac('sha1', key).update(`postern_session=${value}`).digest('base64')
  const encoded = signature.replace(/[/+=]/g, (sign) => ({ '/': '_', '+': '-', '=': '' })[sign] ?? '')
  return new Map([
    ['postern_session /', { value, path: '/' }],
    ['postern_session.sig /', { value: encoded, path: '/' }],
  ])
}

describe('a hash from a stolen database', () => {
  test('is rejected as a code, a refresh token, a device code or an access token', async () => {
    const tv = await postern.createClient({
      grant_types: [deviceGrant],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'none',
    })
    await send(postern, '/oauth/device_authorization', { form: { client_id: tv.client_id, scope: 'openid' } })
    await login(postern, client, { email, scope })
    const begun = await authorize(postern, client, { email })
    const hashes = {
      code: await hashesOf('AuthorizationCode'),
      refresh: await hashesOf('RefreshToken'),
      device: await hashesOf('DeviceCode'),
      access: await hashesOf('AccessToken'),
    }
    for (const [kind, found] of Object.entries(hashes)) expect(found.length, kind).toBeGreaterThan(0)
    const invalid = { status: 400, json: { error: 'invalid_grant' } }
    for (const code of hashes.code) expect(await redeem(postern, begun, { client, code })).toMatchObject(invalid)
    for (const refresh_token of hashes.refresh)
      expect(await ask({ grant_type: 'refresh_token', refresh_token })).toMatchObject(invalid)
    for (const device_code of hashes.device) {
      const form = { grant_type: deviceGrant, device_code, client_id: tv.client_id }
      expect(await send(postern, '/oauth/token', { form })).toMatchObject(invalid)
    }
    for (const bearer of hashes.access) {
      expect((await send(postern, '/oauth/userinfo', { bearer })).status).toBe(401)
      const { json } = await send(postern, '/oauth/introspect', { client, form: { token: bearer } })
      expect(json).toEqual({ active: false })
    }
  })

  test('is rejected as a request_uri (RFC 9126 §4)', async () => {
    const form = {
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: 'https://rp.example/cb',
      scope: 'openid',
      code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
      code_challenge_method: 'S256',
    }
    const { json } = await send(postern, '/oauth/par', { client, form })
    const use = (request_uri: string) => {
      const query = new URLSearchParams({ client_id: client.client_id, request_uri })
      return createVisitor(postern.issuer).get(`/oauth/authorize?${query}`)
    }
    const hashes = await hashesOf('PushedAuthorizationRequest')
    expect(hashes.length).toBeGreaterThan(0)
    for (const hash of hashes) {
      const page = await use(`urn:ietf:params:oauth:request_uri:${hash}`)
      expect([page.status, page.url.includes('/interaction/')]).toEqual([400, false])
    }
    expect((await use(String(json['request_uri']))).url).toContain('/interaction/')
  })

  test('is rejected as a session cookie, even a signed one', async () => {
    const { visitor } = await login(postern, client, { email })
    const own = String(visitor.cookies.get('postern_session /')?.value)
    expect(await mayEnter(signedCookies(own))).toBeUndefined()
    const rows = await postern.database.query(`select uid, encode(id_hash, 'hex') as hash from sessions`)
    for (const { uid, hash } of rows)
      for (const value of [`#${hash}`, String(hash), `#${uid}`, String(uid)])
        expect(await mayEnter(signedCookies(value))).toBe('login_required')
  })
})

describe('a sealed secret that is moved', () => {
  const moves = {
    'to another client':
      'update clients set secret_sealed = (select secret_sealed from clients where id = $2) where id = $1',
    'to another column': `update clients set secret_sealed = null, previous_secret_sealed = secret_sealed,
       previous_secret_expires_at = now() + interval '1 hour' where id = any(array[$1, $2])`,
  }

  test.each(Object.entries(moves))('%s authenticates nobody', async (_where, move) => {
    const [target, source] = [await postern.createClient(), await postern.createClient()]
    await postern.database.query(move, [target.client_id, source.client_id])
    postern.server.postern.clients.forget(target.client_id)
    for (const secret of [source['client_secret'], target['client_secret']]) {
      const answer = await send(postern, '/oauth/introspect', {
        client: { ...target, client_secret: secret },
        form: { token: 'none' },
      })
      expect(answer.status).toBe(500)
    }
  })
})

describe('without a sweep', () => {
  test('an expired value is rejected while its row still exists', async () => {
    const { tokens, visitor } = await login(postern, client, { email, scope })
    const begun = await authorize(postern, client, { email })
    for (const [model, seconds] of [
      ['AccessToken', 700],
      ['RefreshToken', 1_209_700],
      ['AuthorizationCode', 700],
    ] as const)
      await age(postern, model, seconds)
    const rows = await postern.database.query('select 1 from artifacts where expires_at < now()')
    expect(rows.length).toBeGreaterThanOrEqual(3)
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
    const refreshed = await ask({ grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) })
    expect(refreshed.json['error']).toBe('invalid_grant')
    expect((await redeem(postern, begun, { client })).json['error']).toBe('invalid_grant')

    expect(await mayEnter(visitor.cookies)).toBeUndefined()
    const id = String(visitor.cookies.get('postern_session /')?.value)
    await postern.database.query(
      `update sessions set expires_at = now() - interval '1 second' where id_hash = $1 or previous_id_hash = $1`,
      [createHash('sha256').update(id).digest()],
    )
    expect(await mayEnter(visitor.cookies)).toBe('login_required')
  })
})

const isActive = async (on: TestPostern, who: clients.ClientMetadata, token: unknown) =>
  (await send(on, '/oauth/introspect', { client: who, form: { token: String(token) } })).json['active']
const events = async (on: TestPostern, type: string) =>
  Number((await on.database.query('select count(*) from audit_events where type = $1', [type]))[0]?.['count'])

async function reuseRefreshToken(on: TestPostern, who: clients.ClientMetadata) {
  const { tokens } = await login(on, who, { email, scope })
  const refresh = (refresh_token: unknown) =>
    ask({ grant_type: 'refresh_token', refresh_token: String(refresh_token) }, on, who)
  const rotated = await refresh(tokens.refresh_token)
  expect(rotated.status).toBe(200)
  const again = await refresh(tokens.refresh_token)
  expect(again).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
  return { rotated: rotated.json, refresh }
}

describe('RFC 9700 §4.14.2: a refresh token that is used twice', () => {
  test('is rejected within the window, and its family keeps working', async () => {
    const { rotated, refresh } = await reuseRefreshToken(postern, client)
    expect(await isActive(postern, client, rotated['access_token'])).toBe(true)
    expect((await refresh(rotated['refresh_token'])).status).toBe(200)
    expect(await events(postern, 'refresh_token.reused')).toBe(0)
  })

  test('is rejected outside the window, and its family is revoked', async () => {
    const { rotated, refresh } = await reuseRefreshToken(strict, strictClient)
    expect(await isActive(strict, strictClient, rotated['access_token'])).toBe(false)
    expect((await refresh(rotated['refresh_token'])).json['error']).toBe('invalid_grant')
    expect(await events(strict, 'refresh_token.reused')).toBe(1)
  })
})

test('RFC 6749 §4.1.2: a second use of a code immediately revokes what the first use issued', async () => {
  const begun = await authorize(postern, client, { email, scope })
  const first = await redeem(postern, begun, { client })
  expect(first.status).toBe(200)
  expect(await redeem(postern, begun, { client })).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
  for (const name of ['access_token', 'refresh_token'])
    expect(await isActive(postern, client, first.json[name])).toBe(false)
  expect(await events(postern, 'code.reused')).toBe(1)
})

describe('a session identifier that was replaced', () => {
  async function rotate(before: object, after: object): Promise<[string, string]> {
    const [old, fresh] = [randomValue(), randomValue()]
    await save('Session', old, { uid: randomValue(), ...before })
    await request(async () => {
      const held = await find('Session', old)
      await adapter('Session').destroy(old)
      await save('Session', fresh, { ...held, ...after })
    })
    expect(await find('Session', fresh)).toBeTruthy()
    return [old, fresh]
  }

  test('stays valid for tabs that still have it while the account is the same', async () => {
    const [old] = await rotate({ accountId }, {})
    expect((await find('Session', old))?.accountId).toBe(accountId)
  })

  test('is rejected after a sign-in to a signed-out session or to another account', async () => {
    const { id: other } = await postern.createAccount('grace@example.com')
    for (const before of [{}, { accountId: other }]) {
      const [old] = await rotate(before, { accountId })
      expect(await find('Session', old)).toBeUndefined()
    }
  })

  test('gives an attacker who planted their own cookie no access to the account that then signs in', async () => {
    const { email: victim, id: victimId } = await postern.createAccount('victim@example.com')
    const { visitor, config } = await login(postern, client, { email })
    const planted = new Map(visitor.cookies)
    expect(await mayEnter(planted)).toBeUndefined()
    const begun = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'login' })
    const page = await visitor.signIn(begun.page, victim) // in a session of its own: the earlier one waits
    expect((await completeLogin({ page, visitor }, victim)).searchParams.has('code')).toBe(true)
    expect(await mayEnter(visitor.cookies)).toBeUndefined()
    const attacker = await login(postern, client, {
      email,
      visitor: createVisitor(postern.issuer, { cookies: planted }),
    })
    expect(attacker.tokens.claims()?.sub).not.toBe(victimId)
  })
})

describe('a value that differs slightly from the one that was issued', () => {
  const swapped = (value: string) =>
    value.replace(/[a-z]/i, (letter) => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()))

  test.each<[string, (value: string) => string]>([
    ['it is truncated', (value) => value.slice(0, -1)],
    ['it is extended', (value) => `${value}A`],
    ['one letter changes case', swapped],
  ])('is rejected when %s', async (_how, change) => {
    const { tokens } = await login(postern, client, { email, scope })
    const bearer = change(tokens.access_token)
    expect((await send(postern, '/oauth/userinfo', { bearer })).status).toBe(401)
    expect(await isActive(postern, client, bearer)).toBe(false)
    const refresh_token = change(String(tokens.refresh_token))
    expect((await ask({ grant_type: 'refresh_token', refresh_token })).json['error']).toBe('invalid_grant')
    const begun = await authorize(postern, client, { email })
    const code = change(String(begun.callback.searchParams.get('code')))
    expect((await redeem(postern, begun, { client, code })).json['error']).toBe('invalid_grant')
    expect((await redeem(postern, begun, { client })).status).toBe(200)
  })
})

describe('the sweep', () => {
  test('lists every table as either swept or kept', async () => {
    const rows = await postern.database.query(
      `select tablename as name from pg_tables where schemaname = 'public' and tablename not like 'kysely%'`,
    )
    const known = [...expired.tables, ...expired.keptTables]
    expect(rows.map(({ name }) => String(name)).sort()).toEqual([...known].sort())
    expect(new Set(known).size).toBe(known.length)
  })

  const column = {
    replays: 'id_hash',
    throttles: 'key_hash',
    idempotency_keys: 'key_hash',
    refused_requests: 'request_id',
    confirmations: 'id_hash',
    challenges: 'id_hash',
    remembered_devices: 'id_hash',
    upstream_requests: 'state_hash',
    address_changes: 'account_id',
    outbox: 'id',
    sessions: 'uid',
    artifacts: 'id_hash',
    audit_events: 'id',
    grants: 'id',
  }
  const insert = {
    replays: 'insert into replays (id_hash, expires_at) select sha256($1::bytea), $2',
    throttles:
      'insert into throttles (key_hash, failures, blocked_until, expires_at) select sha256($1::bytea), 1, now(), $2',
    idempotency_keys: `insert into idempotency_keys (key_hash, request_hash, created_at, expires_at)
      select sha256($1::bytea), $1, now(), $2`,
    sessions: `insert into sessions (uid, id_hash, payload, expires_at, created_at)
      select encode($1::bytea, 'hex'), sha256($1), '{}', $2, now()`,
    artifacts: `insert into artifacts (id_hash, model, payload, expires_at, created_at)
      select sha256($1::bytea), 'AccessToken', '{}', $2, now()`,
    refused_requests: `insert into refused_requests
      select encode($1::bytea, 'hex'), now(), null, 'GET', '/', 400, '{}', $2`,
    confirmations: `insert into confirmations (id_hash, purpose, email, created_at, expires_at)
      select sha256($1::bytea), 'sign-in', '', now(), $2`,
    challenges: `insert into challenges (id_hash, purpose, browser_hash, origin, expires_at)
      select sha256($1::bytea), 'passkey-sign-in', $1, '', $2`,
    remembered_devices: `with a as (insert into accounts (id, email, email_canonical, created_at, updated_at)
        select encode($1::bytea, 'hex'), encode($1, 'hex'), encode($1, 'hex'), now(), now() returning id)
      insert into remembered_devices select sha256($1), id, 0, null, now(), $2 from a`,
    upstream_requests: `with p as (insert into upstream_providers
        (id, preset, settings, authority_domains, created_at, updated_at)
        values (encode($1::bytea, 'hex'), 'openid', '{}', '{}', now(), now()) returning id)
      insert into upstream_requests (state_hash, provider_id, browser_hash, sealed, expires_at)
        select sha256($1), id, $1, '', $2 from p`,
    address_changes: `with a as (insert into accounts (id, email, email_canonical, created_at, updated_at)
        select encode($1::bytea, 'hex'), encode($1, 'hex'), encode($1, 'hex'), now(), now() returning id)
      insert into address_changes select id, '', now(), $2 from a`,
    outbox: `insert into outbox (id, kind, recipient, sealed, created_at, next_attempt_at, deadline_at, expires_at)
      select encode($1::bytea, 'hex'), 'test', 'ada@example.com', 'v1', now(), now(), now(), $2`,
    audit_events: `insert into audit_events (occurred_at, type, expires_at)
      select now(), encode($1::bytea, 'hex'), $2::timestamptz`,
    grants: `with a as (insert into accounts (id, email, email_canonical, created_at, updated_at)
        select encode($1::bytea, 'hex'), encode($1, 'hex'), encode($1, 'hex'), now(), now() returning id)
      insert into grants (id, account_id, client_id, payload, expires_at, created_at, updated_at)
      select a.id, a.id, (select id from clients where deleted_at is null limit 1), '{}', $2, now(), now() from a`,
  }

  test.each([...expired.tables])('of %s deletes only expired rows, and at most one batch at a time', async (table) => {
    const longAgo = new Date(Date.now() - 30 * 86_400_000)
    const dates = [longAgo, longAgo, longAgo, new Date(Date.now() + 60_000), new Date(Date.now() + 60_000)]
    await expired.deleteBatch(storage().db, table, 1000)
    for (const date of dates) await postern.database.query(insert[table], [randomBytes(16), date])
    const keys = async (condition: string) =>
      (await postern.database.query(`select ${column[table]}::text as key from ${table} where ${condition}`))
        .map(({ key }) => String(key))
        .sort()
    const live = await keys('expires_at is null or expires_at > now()')
    expect(live.length).toBeGreaterThanOrEqual(2)
    expect(await expired.deleteBatch(storage().db, table, 2)).toBe(2)
    expect(await keys(`expires_at < now() - interval '20 days'`)).toHaveLength(1)
    expect(await expired.deleteBatch(storage().db, table, 2)).toBe(1)
    expect(await expired.deleteBatch(storage().db, table, 2)).toBe(0)
    // The server may have added rows since: it notes rejected requests a little later.
    expect(await keys('expires_at is null or expires_at > now()')).toEqual(expect.arrayContaining(live))
  })
})

describe('a token that is issued for another one, which stays valid', () => {
  const inALogin = async () => {
    const [value, grantId] = [randomValue(), await createGrant()]
    await save('AccessToken', value, { kind: 'AccessToken', grantId, clientId: client.client_id })
    return { value, grantId }
  }
  /** Reads a token as the source of a request at the token endpoint, and issues another one for it. */
  const exchange = ({ value, grantId }: { value: string; grantId: string }, meanwhile?: () => Promise<unknown>) => {
    const issued = randomValue()
    const outcome = request(async () => {
      expect(await find('AccessToken', value)).toBeTruthy()
      await meanwhile?.()
      await adapter('AccessToken').upsert(
        issued,
        { kind: 'AccessToken', grantId, exp: inAnHour(), clientId: client.client_id } as AdapterPayload,
        3600,
      )
    }, 'token')
    return { issued, outcome }
  }

  test('can be issued any number of times in the same login', async () => {
    const source = await inALogin()
    const both = [exchange(source), exchange(source)]
    await Promise.all(both.map(({ outcome }) => outcome))
    for (const { issued } of both) expect(await find('AccessToken', issued)).toBeTruthy()
    await request(async () => {
      await find('AccessToken', source.value)
      await adapter('AccessToken').revokeByGrantId(source.grantId)
    })
    for (const { issued } of both) expect(await find('AccessToken', issued)).toBeUndefined()
  })

  test.each<[string, (grantId: string, value: string) => Promise<unknown>]>([
    ['login', (grantId) => adapter('AccessToken').revokeByGrantId(grantId)],
    ['grant', (grantId) => adapter('Grant').destroy(grantId)],
    ['token', (_grantId, value) => adapter('AccessToken').destroy(value)],
  ])('is not issued when the %s was revoked since it was read', async (_what, end) => {
    const source = await inALogin()
    const { issued, outcome } = exchange(source, () => end(source.grantId, source.value))
    await expect(outcome).rejects.toMatchObject({ error: 'invalid_grant' })
    expect(await find('AccessToken', issued)).toBeUndefined()
  })
})

describe('a request', () => {
  test('redeems one thing, and fails if it redeems a second one', async () => {
    const [code, other] = [randomValue(), randomValue()]
    for (const value of [code, other]) await save('AuthorizationCode', value, { kind: 'AuthorizationCode' })
    const twice = request(async () => {
      await adapter('AuthorizationCode').consume(code)
      await adapter('AuthorizationCode').consume(other)
    }, 'token')
    await expect(twice).rejects.toThrow('must not redeem a AuthorizationCode as well')
    expect(await find('AuthorizationCode', code)).not.toHaveProperty('consumed')
    expect(await find('AuthorizationCode', other)).not.toHaveProperty('consumed')
  })
})

describe('the engine', () => {
  test('does not start with a feature whose model is missing from the table', async () => {
    const { provider } = postern.server.postern
    expect(() => assertModelsKnown(provider, {})).not.toThrow()
    expect(() => assertModelsKnown(provider, { ciba: { enabled: true } } as never)).toThrow(
      'BackchannelAuthenticationRequest',
    )
  })

  test.each<[fact: string, members: string[], facts: Partial<Facts>]>([
    ['a way to redeem it', ['consumed'], { redeemed: 'never' }],
    ['the parameter that presents it', ['consumed'], { parameter: undefined }],
    ['isOfLogin', ['grantId'], { isOfLogin: false }],
    ['isDecided', ['error'], { isDecided: false }],
    ['isAccessToken', ['aud'], { isAccessToken: false }],
  ])('does not start with a model whose entry lacks %s', (fact, members, facts) => {
    const whole: Facts = { ...factsOf('DeviceCode'), isAccessToken: true }
    expect(missingFact(members, whole)).toBeUndefined()
    expect(missingFact(members, { ...whole, ...facts })).toContain(fact)
  })
})
