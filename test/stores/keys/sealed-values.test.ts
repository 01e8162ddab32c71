import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { createEnvelope } from '../../../src/crypto/envelope.ts'
import { connect, type Database } from '../../../src/database/connect.ts'
import { type Resealing, reseal } from '../../../src/keys/resealing.ts'
import { secret } from '../../../src/secret.ts'
import * as clients from '../../../src/stores/clients/clients.ts'
import * as credentials from '../../../src/stores/clients/credentials.ts'
import * as encryptionKeys from '../../../src/stores/keys/encryption-keys.ts'
import * as sealedValues from '../../../src/stores/keys/sealed-values.ts'
import * as artifacts from '../../../src/stores/protocol/artifacts.ts'
import * as sessions from '../../../src/stores/protocol/sessions.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'

const [older, newer] = [1, 2].map(() => secret(randomBytes(32).toString('base64'))) as [never, never]
const before = createEnvelope([older])
const during = createEnvelope([older, newer]) // a process before its restart with the newer key first
const after = createEnvelope([newer, older])
const onlyNew = createEnvelope([newer])

let testDatabase: TestDatabase
let database: Database

beforeEach(async () => {
  const created = await createDatabase()
  testDatabase = created
  database = connect({ url: created.url, poolSize: 4, preparedStatements: true, onError: () => {} })
  await encryptionKeys.add(database.db, [before.sealingKeyId, after.sealingKeyId])
  return async () => {
    await database.close()
    await created.drop()
  }
})

const rotate = ({ answerMs = 0, pauseMs = 20 } = {}): Promise<Resealing> =>
  reseal({ db: database.db, envelope: after }, { actor: 'operator:test' }, { pauseMs, answerMs })
const query = (sql: string, values?: unknown[]) => testDatabase.query(sql, values)
const secretOf = async (id: string) =>
  String((await query('select secret_sealed from clients where id = $1', [id]))[0]?.['secret_sealed'])

async function plantClients(
  ids: string[],
  seal = (id: string) => before.seal(`secret of ${id}`, credentials.secretIdentity(id)),
) {
  await query(
    `insert into clients (id, metadata, secret_sealed, created_at, updated_at)
     select id, '{}', sealed, now(), now() from unnest($1::text[], $2::text[]) as n(id, sealed)`,
    [ids, ids.map(seal)],
  )
}

async function plantSession(uid: string): Promise<void> {
  const state = before.seal('{"secret":"s"}', sessions.stateIdentity(uid))
  await query(
    `insert into sessions (uid, id_hash, payload, expires_at, created_at)
     values ($1::text, sha256($1::text::bytea), $2, now() + interval '1 day', now())`,
    [uid, JSON.stringify({ state, kind: 'Session' })],
  )
}

const staleIn = (place: sealedValues.Place) =>
  sealedValues.listStale(database.db, place, { keyId: after.sealingKeyId, after: undefined, limit: 500 })

const renewed = (values: sealedValues.StaleValue[]) =>
  values.map((value) => ({ ...value, renewed: after.seal(after.open(value.sealed, value.identity), value.identity) }))

describe('resealing', () => {
  test('handles more rows than a batch, with keys of one or two columns, and rows without a sealed value', async () => {
    const ids = Array.from({ length: 1_001 }, (_, index) => `client-${index}`)
    await plantClients(ids)
    await query(
      `insert into artifacts (id_hash, model, payload, expires_at, created_at)
       select sha256(n::text::bytea), model, '{}', now(), now()
       from generate_series(1, 800) n, unnest(array['AccessToken', 'Interaction', 'Session']) model`,
    )
    const rows = await query(`select id_hash, model from artifacts where model = 'Interaction'`)
    for (const half of [rows.slice(0, 400), rows.slice(400)]) {
      const sealed = half.map(({ id_hash, model }) =>
        before.seal('{}', artifacts.identity(String(model), id_hash as Buffer)),
      )
      await query(
        `update artifacts a set payload = jsonb_build_object('sealed', n.sealed)
         from unnest($1::bytea[], $2::text[]) as n(id_hash, sealed) where a.id_hash = n.id_hash and model = 'Interaction'`,
        [half.map(({ id_hash }) => id_hash), sealed],
      )
    }
    const { resealed, unreadable } = await rotate()
    expect(unreadable).toEqual([])
    expect(resealed).toEqual({ 'clients.secret_sealed': 1_001, 'artifacts.payload.sealed': 800 })
    for (const id of [ids[0], ids[500], ids[1_000]].map(String)) {
      expect(onlyNew.open(await secretOf(id), credentials.secretIdentity(id))).toBe(`secret of ${id}`)
    }
    expect(await sealedValues.countAllByKey(database.db)).toEqual(new Map([[after.sealingKeyId, 1_801]]))
  })

  test('finds nothing to do a second time', async () => {
    await plantClients(['a'])
    await rotate()
    const sealed = await secretOf('a')
    expect((await rotate()).resealed).toEqual({})
    expect(await secretOf('a')).toBe(sealed)
  })

  test('does not change the time of a client’s last update, because its secret is the same', async () => {
    await plantClients(['a'])
    const updated = () => query('select updated_at from clients')
    const was = await updated()
    await rotate()
    expect(await updated()).toEqual(was)
  })

  test('skips values under the first key, without opening them', async () => {
    await plantClients(['a'], () => `v1.${after.sealingKeyId}.x.y`)
    expect(await rotate()).toMatchObject({ resealed: {}, unreadable: [] })
    expect(await secretOf('a')).toBe(`v1.${after.sealingKeyId}.x.y`)
  })

  test.each([
    [
      'is damaged',
      (id: string) => `${before.seal('x', credentials.secretIdentity(id)).slice(0, -4)}AAAA`,
      'clients.secret:b is damaged',
    ],
    ['belongs to another row', () => before.seal('x', credentials.secretIdentity('a')), 'clients.secret:b is damaged'],
    ['is under a missing key', () => 'v1.deadbeef.AAAA.AAAA', 'clients.secret:b is sealed with key deadbeef, which'],
    ['is not a sealed value', () => 'in clear', 'Not a sealed value: clients.secret:b.'],
  ])(
    'reports a value that %s, leaves it as it is, does the rest, and keeps the old keys',
    async (_, seal, sentence) => {
      await plantClients(['a', 'c'])
      await plantClients(['b'], seal)
      const was = await secretOf('b')
      const outcome = await rotate()
      expect(outcome.unreadable).toEqual([expect.stringContaining(sentence)])
      expect(outcome).toMatchObject({ resealed: { 'clients.secret_sealed': 2 }, retired: [] })
      expect(await secretOf('b')).toBe(was)
      expect((await encryptionKeys.list(database.db)).map(({ id }) => id)).toContain(before.sealingKeyId)
      const [{ details } = {}] = await query(`select details from audit_events where type = 'secrets.rotated'`)
      expect(details).toMatchObject({ unreadable: 1, retired_key_ids: [] })
    },
  )

  test('does not wait for a locked row, but comes back to it', async () => {
    await plantClients(['a', 'b'])
    const held = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const holding = database.db.transaction().execute(async (tx) => {
      await clients.lock(tx, 'a')
      held.resolve()
      await released.promise
    })
    await held.promise
    const rotating = rotate({ pauseMs: 250 })
    await expect.poll(() => secretOf('b')).toContain(`v1.${after.sealingKeyId}.`)
    expect(await secretOf('a')).toContain(`v1.${before.sealingKeyId}.`)
    released.resolve()
    await holding
    expect((await rotating).resealed).toEqual({ 'clients.secret_sealed': 2 })
    expect(await secretOf('a')).toContain(`v1.${after.sealingKeyId}.`)
  })

  test('gives up while values are written under the old key again and again, and keeps that key', async () => {
    await plantClients(['a'])
    await query(`create function put_back() returns trigger language plpgsql as $$ begin return old; end $$`)
    await query('create trigger put_back before update on clients for each row execute function put_back()')
    expect(await rotate()).toMatchObject({ isOutpaced: true, retired: [] })
  })

  test('notices a process that records again that it seals with the old key', async () => {
    const noting = setInterval(() => {
      void encryptionKeys.add(database.db, [before.sealingKeyId]).catch(() => {})
    }, 50)
    try {
      const { retired, usedElsewhere } = await rotate({ answerMs: 500 })
      expect([retired, usedElsewhere]).toEqual([[before.sealingKeyId], [before.sealingKeyId]])
    } finally {
      clearInterval(noting)
    }
  })

  test('does not retire a key that was first recorded while it ran', async () => {
    await query(`create function note() returns trigger language plpgsql as
      $$ begin insert into encryption_keys values ('abcdef01', now()) on conflict do nothing; return new; end $$`)
    await query('create trigger note after insert on audit_events execute function note()')
    await plantClients(['a'])
    const { retired, usedElsewhere } = await rotate()
    expect([retired, usedElsewhere]).toEqual([[before.sealingKeyId], ['abcdef01']])
  })
})

describe('replacing a value', () => {
  test('does nothing if it was changed after it was read', async () => {
    await plantClients(['a'])
    const { values } = await staleIn('clients.secret_sealed')
    const newest = before.seal('another', credentials.secretIdentity('a'))
    await query('update clients set secret_sealed = $1', [newest])
    expect(await sealedValues.replace(database.db, 'clients.secret_sealed', renewed(values))).toBe(0)
    expect(await secretOf('a')).toBe(newest)
  })

  test('keeps other members that a request wrote at the same time', async () => {
    await plantSession('s1')
    const { values } = await staleIn('sessions.payload.state')
    await query(`update sessions set payload = payload || '{"accountId":"ada"}'`)
    expect(await sealedValues.replace(database.db, 'sessions.payload.state', renewed(values))).toBe(1)
    const [{ payload } = {}] = await query('select payload from sessions')
    const { state, ...rest } = payload as Record<string, unknown>
    expect(rest).toEqual({ kind: 'Session', accountId: 'ada' })
    expect(onlyNew.open(String(state), sessions.stateIdentity('s1'))).toBe('{"secret":"s"}')
  })

  test('does not restore a value that was removed at the same time', async () => {
    await plantSession('s1')
    const { values } = await staleIn('sessions.payload.state')
    await query(`update sessions set payload = '{}', destroyed_at = now()`)
    expect(await sealedValues.replace(database.db, 'sessions.payload.state', renewed(values))).toBe(0)
    expect(await query('select payload from sessions')).toEqual([{ payload: {} }])
  })

  test('never overwrites one that is written at the same moment', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `client-${index}`)
    await plantClients(ids)
    const rotateSecret = (id: string) =>
      database.db.transaction().execute((tx) =>
        credentials.rotateSecret(tx, during, id, {
          secret: `new secret of ${id}`,
          secretExpiresAtSeconds: 0,
          overlapSeconds: 60,
        }),
      )
    await Promise.all([rotate(), ...ids.map(rotateSecret)])
    for (const id of ids) {
      const active = await clients.findActive(database.db, onlyNew, id)
      const [{ secret_sealed, previous_secret_sealed } = {}] = await query('select * from clients where id = $1', [id])
      expect(active).toBeDefined()
      expect(onlyNew.open(String(secret_sealed), credentials.secretIdentity(id))).toBe(`new secret of ${id}`)
      expect(onlyNew.open(String(previous_secret_sealed), credentials.previousSecretIdentity(id))).toBe(
        `secret of ${id}`,
      )
    }
  })
})
