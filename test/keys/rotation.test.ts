import { Migrator } from 'kysely/migration'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as initial from '../../migrations/0001-initial.ts'
import * as registration from '../../migrations/0002-registration.ts'
import { parse } from '../../src/config.ts'
import { createEnvelope, type Envelope } from '../../src/crypto/envelope.ts'
import { generate, type PrivateJwk } from '../../src/crypto/keys.ts'
import { open } from '../../src/database/open.ts'
import { load } from '../../src/keys/keyring.ts'
import { purposeOf } from '../../src/keys/life-cycle.ts'
import { ahead, type RotationDependencies, takeStep } from '../../src/keys/rotation.ts'
import { createLogger } from '../../src/log.ts'
import { assemble, type Postern } from '../../src/server.ts'
import * as keys from '../../src/stores/keys.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { privateJwk } from '../support/keys.ts'
import { environmentFor } from '../support/postern.ts'

const day = 86_400_000
let database: TestDatabase
let env: Record<string, string>
let processes: [Postern, Postern]

beforeAll(async () => {
  database = await createDatabase()
  env = await environmentFor(database.url)
  const begin = () => assemble(parse(env), { log: createLogger('silent') })
  processes = [await begin(), await begin()]
})
afterAll(async () => {
  for (const postern of processes ?? []) await postern.close()
  await database?.drop()
})

const first = (): RotationDependencies => processes[0].keys
const list = () => keys.list(processes[0].database.db)
const nextStep = async () => ahead(await list(), first().config)[0]

describe('a step in the life of a key', () => {
  test('is taken once, though two processes find it due in the same moment', async () => {
    for (let round = 0; round < 12; round++) {
      const before = await list()
      const due = await nextStep()
      if (!due) throw new Error('there is always a next step')
      const outcomes = await Promise.all(
        processes.map((postern) => takeStep(postern.keys, purposeOf(due.step), due.at)),
      )
      const taken = outcomes.filter((outcome) => 'taken' in outcome)
      expect(taken.length).toBeGreaterThan(0)
      const events = await database.query(`select count(*)::int as n from audit_events where type like 'key.%'`)
      const changes = (await list()).filter((key) => {
        const old = before.find(({ id }) => id === key.id)
        return old?.state !== key.state
      })
      // Each of what was taken is another step, with its own line: activation retires a key beside.
      const kinds = taken.map((outcome) => ('taken' in outcome ? outcome.taken.kind : ''))
      expect(changes).toHaveLength(kinds.length + kinds.filter((kind) => kind === 'activate').length)
      expect(events[0]?.['n']).toBeGreaterThan(round)
    }
  })

  test('is not taken before its time, nor while another process decides', async () => {
    const due = await nextStep()
    const purpose = due ? purposeOf(due.step) : ''
    const early = new Date((due?.at.getTime() ?? 0) - 1)
    expect(await takeStep(first(), purpose, early)).toEqual({ nextAt: due?.at })

    await processes[1].database.db.transaction().execute(async (tx) => {
      await keys.lead(tx)
      expect(await takeStep(first(), purpose, due?.at ?? new Date())).toEqual({ nextAt: undefined })
    })
    expect(await takeStep(first(), purpose, due?.at ?? new Date())).toHaveProperty('taken')
  })

  test('that fails is not half taken', async () => {
    let due = await nextStep()
    while (due && due.step.kind !== 'activate') {
      await takeStep(first(), purposeOf(due.step), due.at)
      due = await nextStep()
    }
    const purpose = due ? purposeOf(due.step) : ''
    const before = await list()
    await database.query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$`)
    await database.query('create trigger refuse before insert on audit_events execute function refuse()')
    await expect(takeStep(first(), purpose, new Date(Date.now() + 40 * day))).rejects.toThrow('no')
    expect(await list()).toEqual(before)
    await database.query('drop trigger refuse on audit_events')
    expect(await takeStep(first(), purpose, new Date(Date.now() + 40 * day))).toMatchObject({
      taken: { kind: 'activate' },
    })
  })
})

describe('the database itself', () => {
  test.each([
    ['two active keys for a purpose', `update keys set state = 'active' where purpose = 'RS256'`],
    [
      'two keys that are to take over',
      `insert into keys (id, purpose, state, created_at) select id || 'x', purpose, 'pending', now() from keys where state in ('pending', 'published')`,
    ],
    ['a state there is not', `update keys set state = 'valid' where purpose = 'RS256'`],
  ])('does not take %s', async (_what, statement) => {
    await expect(database.query(statement)).rejects.toThrow(/keys_active|keys_successor|keys_state_check/)
  })
})

describe('the keys of a deployment from before', () => {
  const sealed = async (envelope: Envelope, jwk: PrivateJwk) =>
    envelope.seal(JSON.stringify(jwk), `signing_keys.private_jwk:${jwk.kid}`)

  test('go on signing after the upgrade, and from there through their life as all do', async () => {
    const old = await createDatabase()
    await old.query('drop schema public cascade')
    await old.query('create schema public')
    const settings = parse({ ...env, DATABASE_URL: old.url, MIGRATE_ON_START: 'true' })
    const envelope = createEnvelope(settings.ENCRYPTION_KEYS ?? [])
    const before = await open(settings, { onError: () => {} }, () => {})
    const getMigrations = async () => ({ '0001-initial': initial, '0002-registration': registration })
    const { error } = await new Migrator({ db: before.db, provider: { getMigrations } }).migrateToLatest()
    expect(error).toBeUndefined()
    const jwk = await generate('RS256')
    await old.query(
      `insert into signing_keys (kid, alg, state, private_jwk_sealed, created_at, published_at, active_at)
       values ($1, 'RS256', 'active', $2, now(), now(), now())`,
      [jwk.kid, await sealed(envelope, jwk)],
    )
    for (const name of ['cookie-key', 'dpop-nonce', 'pairwise-salt', 'pepper']) {
      const value = Buffer.alloc(32, name).toString('base64url')
      await old.query('insert into shared_secrets (name, value_sealed, created_at) values ($1, $2, now())', [
        name,
        envelope.seal(value, `shared_secrets.value:${name}`),
      ])
    }
    await before.close()

    const postern = await assemble(settings, { log: createLogger('silent') })
    expect(privateJwk(postern.keyring, 'RS256')).toEqual(jwk)
    expect(postern.keyring.pairwiseSalt.reveal()).toEqual(Buffer.alloc(32, 'pairwise-salt'))
    expect(postern.keyring.dpopNonceSecret.reveal()).toEqual(Buffer.alloc(32, 'dpop-nonce'))
    expect(postern.keyring.cookieKeys.reveal()).toEqual([Buffer.alloc(32, 'cookie-key').toString('base64url')])
    const until = Date.now() + 31 * day
    for (;;) {
      const due = ahead(await keys.list(postern.database.db), settings)[0]
      if (!due || due.at.getTime() > until) break
      await takeStep(postern.keys, purposeOf(due.step), due.at)
    }
    const { signing } = await load(postern.keys)
    expect(signing.filter(({ alg }) => alg === 'RS256').map(({ state }) => state)).toEqual([
      'active',
      'published',
      'retired',
    ])
    expect(signing.find(({ state, alg }) => alg === 'RS256' && state === 'retired')?.publicJwk).toMatchObject({
      kid: jwk.kid,
      n: jwk.n,
    })
    await postern.close()
    await old.drop()
  })
})
