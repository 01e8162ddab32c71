import { randomBytes } from 'node:crypto'
import { Migrator } from 'kysely/migration'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import * as initial from '../../migrations/0001-initial.ts'
import * as registration from '../../migrations/0002-registration.ts'
import { assemble, type Postern } from '../../src/assemble/index.ts'
import { parse } from '../../src/config/index.ts'
import { createEnvelope, type Envelope } from '../../src/crypto/envelope.ts'
import { generate, type PrivateJwk } from '../../src/crypto/keys.ts'
import { open } from '../../src/database/open.ts'
import type { KeyService } from '../../src/keys/key-service.ts'
import { assertUsable, load } from '../../src/keys/keyring.ts'
import { purposeOf } from '../../src/keys/life-cycle.ts'
import { revoke } from '../../src/keys/revocation.ts'
import { ahead, type RotationDependencies, takeStep } from '../../src/keys/rotation.ts'
import { createLogger } from '../../src/log/index.ts'
import * as keys from '../../src/stores/keys/keys.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { privateJwk } from '../support/keys.ts'
import { operateOn } from '../support/operator.ts'
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
  test('is taken once, even if two processes find it due at the same moment', async () => {
    for (let round = 0; round < 12; round++) {
      const before = await list()
      const due = await nextStep()
      if (!due) throw new Error('there is always a next step')
      const outcomes = await Promise.all(
        processes.map((postern) => takeStep(postern.keys, purposeOf(due.step), () => due.at)),
      )
      const taken = outcomes.filter((outcome) => 'taken' in outcome)
      expect(taken.length).toBeGreaterThan(0)
      const events = await database.query(`select count(*)::int as n from audit_events where type like 'key.%'`)
      const changes = (await list()).filter((key) => {
        const old = before.find(({ id }) => id === key.id)
        return old?.state !== key.state
      })
      // Each step has a line of its own in the audit. An activation also retires a key.
      const kinds = taken.map((outcome) => ('taken' in outcome ? outcome.taken.kind : ''))
      expect(changes).toHaveLength(kinds.length + kinds.filter((kind) => kind === 'activate').length)
      expect(events[0]?.['n']).toBeGreaterThan(round)
    }
  })

  test('is not taken before its time, nor while another process decides', async () => {
    const due = await nextStep()
    const purpose = due ? purposeOf(due.step) : ''
    const early = new Date((due?.at.getTime() ?? 0) - 1)
    expect(await takeStep(first(), purpose, () => early)).toEqual({ nextAt: due?.at })

    await processes[1].database.db.transaction().execute(async (tx) => {
      await keys.lead(tx)
      expect(await takeStep(first(), purpose, () => due?.at ?? new Date())).toEqual({ nextAt: undefined })
    })
    expect(await takeStep(first(), purpose, () => due?.at ?? new Date())).toHaveProperty('taken')
  })

  test('that fails leaves nothing half done', async () => {
    let due = await nextStep()
    while (due && due.step.kind !== 'activate') {
      const { step, at } = due
      await takeStep(first(), purposeOf(step), () => at)
      due = await nextStep()
    }
    const purpose = due ? purposeOf(due.step) : ''
    const before = await list()
    await database.query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$`)
    await database.query('create trigger refuse before insert on audit_events execute function refuse()')
    await expect(takeStep(first(), purpose, () => new Date(Date.now() + 40 * day))).rejects.toThrow('no')
    expect(await list()).toEqual(before)
    await database.query('drop trigger refuse on audit_events')
    expect(await takeStep(first(), purpose, () => new Date(Date.now() + 40 * day))).toMatchObject({
      taken: { kind: 'activate' },
    })
  })
})

describe('the database itself', () => {
  test.each([
    ['two active keys for a purpose', `update keys set state = 'active' where purpose = 'RS256'`],
    [
      'two keys about to take over',
      `insert into keys (id, purpose, state, created_at) select id || 'x', purpose, 'pending', now() from keys where state in ('pending', 'published')`,
    ],
    ['an unknown state', `update keys set state = 'valid' where purpose = 'RS256'`],
  ])('rejects %s', async (_what, statement) => {
    await expect(database.query(statement)).rejects.toThrow(/keys_active|keys_successor|keys_state_check/)
  })
})

describe('the keys of a deployment before the upgrade', () => {
  const sealed = async (envelope: Envelope, jwk: PrivateJwk) =>
    envelope.seal(JSON.stringify(jwk), `signing_keys.private_jwk:${jwk.kid}`)

  test('continue to sign after it, and from then on rotate like all others', async () => {
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

    const strange = parse({ ...env, DATABASE_URL: old.url, ENCRYPTION_KEYS: randomBytes(32).toString('base64') })
    const dump = () => old.query('select t::text from signing_keys t union all select t::text from shared_secrets t')
    const untouched = await dump()
    await expect(assemble({ ...strange, MIGRATE_ON_START: true }, { log: createLogger('silent') })).rejects.toThrow(
      'Nothing was changed.',
    )
    expect(await dump()).toEqual(untouched)

    const postern = await assemble(settings, { log: createLogger('silent') })
    expect(privateJwk(postern.keyring, 'RS256')).toEqual(jwk)
    expect(postern.keyring.pairwiseSalt.reveal()).toEqual(Buffer.alloc(32, 'pairwise-salt'))
    expect(postern.keyring.dpopNonceSecret.reveal()).toEqual(Buffer.alloc(32, 'dpop-nonce'))
    expect(postern.keyring.cookieKeys.reveal()).toEqual([Buffer.alloc(32, 'cookie-key').toString('base64url')])
    const until = Date.now() + 31 * day
    for (;;) {
      const due = ahead(await keys.list(postern.database.db), settings)[0]
      if (!due || due.at.getTime() > until) break
      await takeStep(postern.keys, purposeOf(due.step), () => due.at)
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

describe('the rotation of keys', () => {
  const service = (change: Partial<KeyService>): KeyService => ({
    algorithms: [],
    generate: async () => {
      throw new Error('the service is away')
    },
    sign: async () => Buffer.alloc(0),
    destroy: async () => {},
    close: async () => {},
    ...change,
  })
  let others: TestDatabase
  let postern: Postern

  beforeEach(async () => {
    others = await createDatabase()
    postern = await assemble(parse({ ...env, DATABASE_URL: others.url }), { log: createLogger('silent') })
  })
  afterEach(async () => {
    await postern?.close()
    await others?.drop()
  })
  const states = async (purpose: string) =>
    (await keys.list(postern.database.db)).filter((key) => key.purpose === purpose).map(({ state }) => state)
  const takeAll = async (dependencies: RotationDependencies, purpose: string, at: Date) => {
    while ('taken' in (await takeStep(dependencies, purpose, () => at)));
  }

  test('is not prevented by a service that refuses to destroy a key', async () => {
    const refusing = service({
      destroy: async () => {
        throw new Error('CKR_ACTION_PROHIBITED')
      },
    })
    await others.query(`update keys set service_reference = 'x', sealed = null where purpose = 'ES256'`)
    const dependencies = { ...postern.keys, keyService: refusing }
    for (const days of [1, 2, 32, 64, 96]) {
      const at = new Date(Date.now() + days * day)
      await takeAll(dependencies, 'ES256', at).catch((error) =>
        expect(String(error)).toContain('CKR_ACTION_PROHIBITED'),
      )
    }
    expect(await states('ES256')).toEqual(['removed', 'retired', 'active', 'pending'])
  })

  test('works without the service when a key without a next one is revoked', async () => {
    const dependencies = { ...postern.keys, keyService: service({ algorithms: ['ES256'] }) }
    await expect(takeStep(dependencies, 'ES256')).rejects.toThrow('the service is away')
    const [key] = (await keys.list(postern.database.db)).filter(({ purpose }) => purpose === 'ES256')
    await postern.database.db
      .transaction()
      .execute((tx) => revoke(tx, dependencies, { key: key as keys.Key, at: new Date() }))
    expect(await states('ES256')).toEqual(['removed', 'active'])
  })

  test('does not block others: while a service creates a key, another key can be revoked', async () => {
    const made = Promise.withResolvers<never>()
    const slow = service({ algorithms: ['ES256'], generate: () => made.promise })
    const making = takeStep({ ...postern.keys, keyService: slow }, 'ES256')
    const [key] = (await keys.list(postern.database.db)).filter(({ purpose }) => purpose === 'RS256')
    await postern.database.db.transaction().execute(async (tx) => {
      await keys.lead(tx)
      await revoke(tx, postern.keys, { key: key as keys.Key, at: new Date() })
    })
    expect(await states('RS256')).toEqual(['removed', 'active'])
    made.reject(new Error('the service is away'))
    await expect(making).rejects.toThrow('the service is away')
  })

  test('makes the next key take over at once when none is in use, and creates no other', async () => {
    await takeAll(postern.keys, 'ES256', new Date(Date.now() + 60_000))
    await others.query(`update keys set state = 'removed' where purpose = 'ES256' and state = 'active'`)
    await load(postern.keys)
    expect(await states('ES256')).toEqual(['removed', 'active'])
  })

  test('needs the service that has a key: without it a process does not start, but all other keys can be read', async () => {
    await others.query(
      `update keys set service_reference = 'x', sealed = null where purpose = 'ES256' and state = 'active'`,
    )
    const keyring = await load(postern.keys)
    expect(() => assertUsable(keyring)).toThrow('is in a key-management service, and none is configured')
    expect(privateJwk(keyring, 'RS256')).toBeDefined()
    await expect(
      assemble(parse({ ...env, DATABASE_URL: others.url }), { log: createLogger('silent') }),
    ).rejects.toThrow('Set PKCS11_MODULE again')
  })
})

describe('an algorithm that is switched off again', () => {
  test('does not keep other keys from rotating, and does not rotate itself', async () => {
    const others = await createDatabase()
    const settings = { ...env, DATABASE_URL: others.url }
    await (await assemble(parse({ ...settings, ALLOW_ML_DSA: 'true' }), { log: createLogger('silent') })).close()
    const postern = await assemble(parse(settings), { log: createLogger('silent') })
    const rotated = (await operateOn(postern, 'keys rotate', {})) as { items: { purpose: string }[] }
    expect(rotated.items.map(({ purpose }) => purpose).sort()).toEqual(
      ['ES256', 'EdDSA', 'PS256', 'RS256', 'cookie-key', 'dpop-nonce'].sort(),
    )
    await expect(operateOn(postern, 'keys rotate', { purpose: 'ML-DSA-65' })).rejects.toThrow(
      'There is no key for ML-DSA-65 that rotates under these settings.',
    )
    await postern.close()
    await others.drop()
  })
})
