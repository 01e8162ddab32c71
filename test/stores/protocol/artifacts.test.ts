import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Database } from '../../../src/database/connect.ts'
import { stageOf } from '../../../src/oidc/request/storage.ts'
import * as artifacts from '../../../src/stores/protocol/artifacts.ts'
import * as grants from '../../../src/stores/protocol/grants.ts'
import * as replays from '../../../src/stores/protocol/replays.ts'
import * as stages from '../../../src/stores/protocol/stages.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'

const inAnHour = () => Math.floor(Date.now() / 1000) + 3_600
const attempts = 20

let testDatabase: TestDatabase
let database: Database

beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 10, preparedStatements: true, onError: () => {} })
})
afterAll(async () => {
  await database?.close()
  await testDatabase?.drop()
})

let names = 0
type Login = { grantId: string; accountId: string; clientId: string }

/** Creates a person, an app, and a grant between them. */
async function newGrant(): Promise<Login> {
  const name = `n${++names}`
  await testDatabase.query(
    `with account as (insert into accounts (id, email, email_canonical, created_at, updated_at)
       values ($1, $1, $1, now(), now()))
     insert into clients (id, metadata, created_at, updated_at) values ($1, '{}', now(), now())`,
    [name],
  )
  const change = () => ({ payload: { exp: inAnHour() }, shown: {}, expiresAtSeconds: inAnHour() })
  const grantId = await database.db
    .transaction()
    .execute((tx) => grants.change(tx, { accountId: name, clientId: name }, change))
  return { grantId, accountId: name, clientId: name }
}

function newArtifact(model: string, about: Partial<artifacts.Artifact> = {}): artifacts.Artifact {
  return {
    model,
    idHash: randomBytes(32),
    grantId: undefined,
    family: undefined,
    accountId: undefined,
    clientId: undefined,
    sessionUid: undefined,
    userCodeHash: undefined,
    payload: { exp: inAnHour() },
    expiresAtSeconds: inAnHour(),
    ...about,
  }
}

async function store(...inserts: artifacts.Artifact[]): Promise<void> {
  const [result] = await stages.apply(database.db, [stageOf({ inserts })])
  expect(result).toEqual({ status: 'fulfilled', value: 'applied' })
}

const find = async ({ model, idHash }: artifacts.Artifact) =>
  (await artifacts.findByHashes(database.db, [idHash])).find((found) => found.model === model)

describe('RFC 6749 §4.1.2: a single-use artifact', () => {
  test('is redeemed by one of twenty requests at the same moment', async () => {
    const pushed = newArtifact('PushedAuthorizationRequest')
    await store(pushed)
    const won = await Promise.all(
      Array.from({ length: attempts }, () => artifacts.consume(database.db, pushed.model, pushed.idHash)),
    )
    expect(won.filter(Boolean)).toHaveLength(1)
  })

  test.each([
    ['in one statement', (all: stages.Stage[]) => stages.apply(database.db, all)],
    [
      'in a statement each',
      async (all: stages.Stage[]) => (await Promise.all(all.map((stage) => stages.apply(database.db, [stage])))).flat(),
    ],
  ])('is exchanged by one of twenty requests %s, and the others leave nothing behind', async (_how, apply) => {
    const { grantId } = await newGrant()
    const code = newArtifact('AuthorizationCode', { grantId, family: 'f' })
    await store(code)
    const tokens = Array.from({ length: attempts }, () => newArtifact('AccessToken', { grantId, family: 'f' }))
    const results = await apply(
      tokens.map((token) =>
        stageOf({
          redemption: { model: code.model, idHash: code.idHash, grantId, how: 'consume' },
          inserts: [token],
          audit: [{ type: 'session.began', grantId }],
        }),
      ),
    )
    const winner = results.findIndex((result) => result.status === 'fulfilled' && result.value === 'applied')
    expect(results.filter((result) => result.status === 'fulfilled' && result.value === 'lost')).toHaveLength(
      attempts - 1,
    )
    const found = await Promise.all(tokens.map(find))
    expect(found.map((token) => token !== undefined)).toEqual(tokens.map((_, index) => index === winner))
    expect(await testDatabase.query('select 1 from audit_events where grant_id = $1', [grantId])).toHaveLength(1)
  })

  test('stays used when it is saved again, and is found as used', async () => {
    const token = newArtifact('RefreshToken')
    await store(token)
    await artifacts.consume(database.db, token.model, token.idHash)
    expect(await artifacts.update(database.db, { ...token, payload: { changed: true } }, token.payload)).toBe(true)
    expect(await find(token)).toMatchObject({ consumedAtMs: expect.any(Number), payload: { changed: true } })
    expect(await artifacts.consume(database.db, token.model, token.idHash)).toBe(false)
  })

  test('gets the new expiry when it is saved with another one', async () => {
    const token = newArtifact('RefreshToken')
    await store(token)
    const later = inAnHour() + 600
    await artifacts.update(database.db, { ...token, expiresAtSeconds: later }, token.payload)
    expect((await find(token))?.expiresAtSeconds).toBe(later)
    await artifacts.update(database.db, { ...token, expiresAtSeconds: undefined }, token.payload)
    expect((await find(token))?.expiresAtSeconds).toBeUndefined()
  })
})

describe('RFC 8628 §3.3: a device code', () => {
  async function decide(decision: artifacts.Artifact): Promise<boolean> {
    const [result] = await stages.apply(database.db, [stageOf({ decision })])
    return result?.status === 'fulfilled' && result.value === 'applied'
  }

  test('is decided by one of twenty decisions at the same moment, in either way', async () => {
    const { accountId, clientId, grantId } = await newGrant()
    const code = newArtifact('DeviceCode', { clientId })
    await store(code)
    const decisions = Array.from({ length: attempts }, (_, n) =>
      n % 2 ? { ...code, accountId, grantId } : { ...code, payload: { error: 'access_denied' } },
    )
    const won = await Promise.all(decisions.map(decide))
    expect(won.filter(Boolean)).toHaveLength(1)
    const found = await find(code)
    const isApproved = won.indexOf(true) % 2 === 1
    expect([found?.accountId !== undefined, found?.payload['error'] !== undefined]).toEqual([isApproved, !isApproved])
  })

  test.each(['approved', 'denied'])('that was %s cannot be decided again, in either way', async (how) => {
    const { accountId, clientId, grantId } = await newGrant()
    const code = newArtifact('DeviceCode', { clientId })
    const approved = { ...code, accountId, grantId }
    const denied = { ...code, payload: { error: 'access_denied' } }
    await store(code)
    expect(await decide(how === 'approved' ? approved : denied)).toBe(true)
    for (const again of [approved, denied]) expect(await decide(again)).toBe(false)
  })

  test('is found by its user code until it is destroyed', async () => {
    const { clientId } = await newGrant()
    const userCodeHash = randomBytes(32)
    const code = newArtifact('DeviceCode', { clientId, userCodeHash })
    await store(code)
    expect((await artifacts.findByUserCodeHash(database.db, userCodeHash))?.idHash.equals(code.idHash)).toBe(true)
    expect(await artifacts.findByUserCodeHash(database.db, randomBytes(32))).toBeUndefined()
    await artifacts.destroy(database.db, 'DeviceCode', code.idHash)
    expect(await artifacts.findByUserCodeHash(database.db, userCodeHash)).toBeUndefined()
  })
})

describe('RFC 7009 §2.1: revocation', () => {
  const models = ['AuthorizationCode', 'AccessToken', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest']
  const revoke = (what: artifacts.Revocation) => database.db.transaction().execute((tx) => artifacts.revoke(tx, what))

  test('of a grant deletes its artifacts of every model, and can be repeated', async () => {
    const [one, other] = [await newGrant(), await newGrant()]
    const mine = models.map((model) => newArtifact(model, { grantId: one.grantId }))
    const theirs = models.map((model) => newArtifact(model, { grantId: other.grantId }))
    await store(...mine, ...theirs)
    expect(await revoke({ grantId: one.grantId })).toBe(models.length)
    expect(await Promise.all(mine.map(find))).toEqual(models.map(() => undefined))
    for (const artifact of theirs) expect(await find(artifact)).toBeDefined()
    expect(await revoke({ grantId: one.grantId })).toBe(0)
  })

  test('of one login leaves the person’s other logins at the same app', async () => {
    const { grantId } = await newGrant()
    const phone = models.map((model) => newArtifact(model, { grantId, family: 'phone' }))
    const desk = models.map((model) => newArtifact(model, { grantId, family: 'desk' }))
    await store(...phone, ...desk)
    expect(await revoke({ grantId, family: 'phone' })).toBe(models.length)
    for (const artifact of desk) expect(await find(artifact)).toBeDefined()
  })

  test('at logout deletes only artifacts bound to that session', async () => {
    const { grantId } = await newGrant()
    const bound = newArtifact('AccessToken', { grantId, sessionUid: 's1', payload: { expiresWithSession: true } })
    const offline = newArtifact('RefreshToken', { grantId, sessionUid: 's1' })
    const elsewhere = newArtifact('AccessToken', { grantId, sessionUid: 's2', payload: { expiresWithSession: true } })
    await store(bound, offline, elsewhere)
    expect(await revoke({ grantId, sessionUid: 's1' })).toBe(1)
    expect([await find(bound), await find(offline), await find(elsewhere)].map(Boolean)).toEqual([false, true, true])
  })

  test('by destroying a grant deletes everything issued under it', async () => {
    const { grantId } = await newGrant()
    const issued = models.map((model) => newArtifact(model, { grantId }))
    await store(...issued)
    expect(await grants.destroy(database.db, grantId)).toMatchObject({ accountId: expect.any(String) })
    expect(await Promise.all(issued.map(find))).toEqual(models.map(() => undefined))
    expect(await grants.destroy(database.db, grantId)).toBeUndefined()
  })

  test('at the same moment as a refresh leaves nothing usable', async () => {
    for (let round = 0; round < 40; round++) {
      const { grantId } = await newGrant()
      const token = newArtifact('RefreshToken', { grantId, family: 'f' })
      await store(token)
      const successors = [
        newArtifact('RefreshToken', { grantId, family: 'f' }),
        newArtifact('AccessToken', { grantId, family: 'f' }),
      ]
      const redemption = { model: token.model, idHash: token.idHash, grantId, how: 'consume' as const }
      const end = round % 2 ? () => revoke({ grantId, family: 'f' }) : () => grants.destroy(database.db, grantId)
      const [[refreshed]] = await Promise.all([
        stages.apply(database.db, [stageOf({ redemption, inserts: successors })]),
        end(),
      ])
      expect(refreshed?.status).toBe('fulfilled')
      expect(await testDatabase.query(`select model from artifacts where grant_id = $1`, [grantId])).toEqual([])
    }
  })
})

describe('nothing is issued', () => {
  test('under a destroyed grant, without affecting others written at the same moment', async () => {
    const [gone, live] = [await newGrant(), await newGrant()]
    await grants.destroy(database.db, gone.grantId)
    const [late, good] = [newArtifact('AccessToken', gone), newArtifact('AccessToken', live)]
    const results = await stages.apply(database.db, [stageOf({ inserts: [late] }), stageOf({ inserts: [good] })])
    expect(results).toEqual([
      { status: 'fulfilled', value: 'lost' },
      { status: 'fulfilled', value: 'applied' },
    ])
    expect([await find(late), await find(good)].map(Boolean)).toEqual([false, true])
  })

  test('that cannot be stored, without affecting others written at the same moment', async () => {
    const [broken, good] = [newArtifact('AccessToken', { payload: { nonce: '\u0000' } }), newArtifact('AccessToken')]
    const [first, second] = await stages.apply(database.db, [
      stageOf({ inserts: [broken] }),
      stageOf({ inserts: [good] }),
    ])
    expect([first?.status, second]).toEqual(['rejected', { status: 'fulfilled', value: 'applied' }])
    expect([await find(broken), await find(good)].map(Boolean)).toEqual([false, true])
  })

  test.each(['disabled_at = now()', 'deleted_at = now()', 'expires_at = now()'])(
    'to a client after %s, which then has redeemed nothing, without affecting others written at the same moment',
    async (change) => {
      const [off, live] = [await newGrant(), await newGrant()]
      const codes = [off, live].map((login) => newArtifact('AuthorizationCode', login))
      await store(...codes)
      await testDatabase.query(`update clients set ${change} where id = $1`, [off.clientId])
      const stagesOf = ({ clientId, grantId }: Login, code: artifacts.Artifact | undefined) => {
        const redemption = code && { model: code.model, idHash: code.idHash, grantId, how: 'consume' as const }
        const inserts = [newArtifact('AccessToken', { clientId })]
        const audit = [{ type: 'consent.given' as const, clientId }]
        return [{ redemption, inserts, audit }, { inserts, audit }, {}].map((part) =>
          stageOf({ client: { id: clientId, credentialVersion: 0 }, ...part }),
        )
      }
      const all = [off, live].flatMap((login, index) => stagesOf(login, codes[index]).slice(0, 1))
      const alone = [off, live].flatMap((login) => stagesOf(login, undefined).slice(1))
      const outcomes = (await stages.apply(database.db, [...all, ...alone])).map((result) =>
        result.status === 'fulfilled' ? result.value : result.reason,
      )
      expect(outcomes).toEqual(['moved', 'applied', 'moved', 'moved', 'applied', 'applied'])
      const used = `select consumed_at is not null as used from artifacts where model = 'AuthorizationCode' and client_id = $1`
      const issued = `select 1 from artifacts where model = 'AccessToken' and client_id = $1`
      const recorded = `select 1 from audit_events where type = 'consent.given' and client_id = $1`
      expect(await testDatabase.query(used, [off.clientId])).toEqual([{ used: false }])
      expect(await testDatabase.query(used, [live.clientId])).toEqual([{ used: true }])
      for (const statement of [issued, recorded]) {
        expect(await testDatabase.query(statement, [off.clientId])).toHaveLength(0)
        expect(await testDatabase.query(statement, [live.clientId])).toHaveLength(2)
      }
    },
  )
})

describe('an artifact', () => {
  test.each([
    ['a disabled account', 'update accounts set disabled_at = now() where id = $1', true],
    ['a disabled client', 'update clients set disabled_at = now() where id = $1', true],
    ['a deleted client', 'update clients set deleted_at = now() where id = $1', true],
    ['a client after its lifetime', 'update clients set expires_at = now() where id = $1', true],
    ['a deleted account', 'delete from accounts where id = $1', true],
    ['an active account and client', 'select $1::text', false],
  ])('of %s is found only if account and client are active', async (_what, statement, isHidden) => {
    const login = await newGrant()
    const token = newArtifact('AccessToken', login)
    await store(token)
    await testDatabase.query(statement, [login.accountId])
    expect((await find(token)) === undefined).toBe(isHidden)
  })
})

describe('RFC 9449 §11.1, RFC 7523 §3: a one-time identifier', () => {
  test('is new to one of twenty requests at the same moment', async () => {
    const idHash = randomBytes(32)
    const expiresAt = new Date(Date.now() + 60_000)
    const claims = await Promise.all(
      Array.from({ length: attempts }, () => replays.redeem(database.db, idHash, expiresAt)),
    )
    expect(claims.filter(Boolean)).toHaveLength(1)
    expect(await replays.redeem(database.db, idHash, new Date(Date.now() + 120_000))).toBe(false)
    const [row] = await testDatabase.query('select expires_at from replays where id_hash = $1', [idHash])
    expect(row?.['expires_at']).toEqual(expiresAt)
  })
})
