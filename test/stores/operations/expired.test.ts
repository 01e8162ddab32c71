import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connect, type Database } from '../../../src/database/connect.ts'
import { adapterWith } from '../../../src/oidc/adapters/index.ts'
import type { Storage } from '../../../src/oidc/request/storage.ts'
import * as expired from '../../../src/stores/operations/expired.ts'
import { type ArtifactModel, models } from '../../../src/stores/protocol/models.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'
import { eventually } from '../../support/eventually.ts'

const day = 86_400
const engine = new URL('../../../node_modules/oidc-provider/', import.meta.url)

let testDatabase: TestDatabase
let database: Database

beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 8, preparedStatements: true, onError: () => {} })
})
beforeEach(async () => {
  await testDatabase.query('alter table audit_events disable trigger all')
  for (const table of [...expired.tables].reverse()) await testDatabase.query(`delete from ${table}`)
  await testDatabase.query('alter table audit_events enable trigger all')
})
afterAll(async () => {
  await database?.close()
  await testDatabase?.drop()
})

/** How many seconds a row of each table is kept after its expiry. */
const keptFor = {
  replays: 0,
  throttles: 0,
  idempotency_keys: 0,
  refused_requests: 0,
  confirmations: day,
  challenges: 0,
  remembered_devices: 0,
  upstream_requests: 0,
  address_changes: 0,
  outbox: 0,
  sessions: 300,
  artifacts: 300,
  audit_events: day,
  grants: 7 * day,
} as const
type Table = keyof typeof keptFor

let rows = 0
/** Adds a row that expired so many seconds ago. */
async function add(table: Table, endedAgoSeconds: number): Promise<void> {
  const expiresAt = new Date(Date.now() - endedAgoSeconds * 1000)
  const [hash, name] = [randomBytes(32), `row${++rows}`]
  const insert: Record<Table, [string, unknown[]]> = {
    replays: ['insert into replays values ($1, $2)', [hash, expiresAt]],
    idempotency_keys: ['insert into idempotency_keys values ($1, $1, null, now(), $2)', [hash, expiresAt]],
    refused_requests: [
      `insert into refused_requests values ($1, now(), null, 'GET', '/', 400, '{}', $2)`,
      [name, expiresAt],
    ],
    confirmations: [
      `insert into confirmations (id_hash, purpose, email, created_at, expires_at) values ($1, 'sign-in', '', now(), $2)`,
      [hash, expiresAt],
    ],
    remembered_devices: [
      `with a as (insert into accounts (id, email, email_canonical, created_at, updated_at)
         values ($1, $1, $1, now(), now()) returning id)
       insert into remembered_devices select sha256(id::bytea), id, 0, null, now(), $2 from a`,
      [name, expiresAt],
    ],
    challenges: [
      `insert into challenges (id_hash, purpose, browser_hash, origin, expires_at)
       values ($1, 'passkey-sign-in', $1, '', $2)`,
      [hash, expiresAt],
    ],
    upstream_requests: [
      `with p as (insert into upstream_providers (id, preset, settings, authority_domains, created_at, updated_at)
         values (encode($1::bytea, 'hex'), 'openid', '{}', '{}', now(), now()) returning id)
       insert into upstream_requests (state_hash, provider_id, browser_hash, sealed, expires_at)
         select $1, id, $1, '', $2 from p`,
      [hash, expiresAt],
    ],
    address_changes: [
      `with a as (insert into accounts (id, email, email_canonical, created_at, updated_at)
         values ($1, $1, $1, now(), now()) returning id)
       insert into address_changes select id, '', now(), $2 from a`,
      [name, expiresAt],
    ],
    outbox: [
      `insert into outbox (id, kind, recipient, sealed, created_at, next_attempt_at, deadline_at, expires_at)
       values ($1, 'test', 'ada@example.com', 'v1', now(), now(), now(), $2)`,
      [name, expiresAt],
    ],
    throttles: ['insert into throttles values ($1, 1, $2, $2)', [hash, expiresAt]],
    sessions: [
      `insert into sessions (uid, id_hash, payload, expires_at, created_at) values ($1, $2, '{}', $3, now())`,
      [name, hash, expiresAt],
    ],
    artifacts: [
      `insert into artifacts (id_hash, model, payload, expires_at, created_at) values ($1, 'AccessToken', '{}', $2, now())`,
      [hash, expiresAt],
    ],
    audit_events: [
      `insert into audit_events (occurred_at, type, expires_at) values (now(), $1, $2)`,
      [name, expiresAt],
    ],
    grants: [
      `with account as (insert into accounts (id, email, email_canonical, created_at, updated_at)
         values ($1, $1, $1, now(), now())),
       client as (insert into clients (id, metadata, created_at, updated_at) values ($1, '{}', now(), now()))
       insert into grants (id, account_id, client_id, payload, expires_at, created_at, updated_at)
         values ($1, $1, $1, '{}', $2, now(), now())`,
      [name, expiresAt],
    ],
  }
  await testDatabase.query(...insert[table])
}

async function count(table: string): Promise<number> {
  const [row] = await testDatabase.query(`select count(*)::int as n from ${table}`)
  return Number(row?.['n'])
}

test('every table is either swept or intentionally kept', async () => {
  const found = await testDatabase.query(
    `select table_name from information_schema.tables where table_schema = 'public' and table_name not like 'kysely%'`,
  )
  const names = found.map((row) => String(row['table_name'])).sort()
  expect(names).toEqual([...expired.tables, ...expired.keptTables].sort())
  expect(new Set(names).size).toBe(expired.tables.length + expired.keptTables.length)
})

test('every swept table has an index on the expiry of its rows', async () => {
  for (const table of expired.tables) {
    const found = await testDatabase.query(`select indexdef from pg_indexes where tablename = $1`, [table])
    expect([table, found.some((row) => /\(expires_at\)/.test(String(row['indexdef'])))]).toEqual([table, true])
  }
})

describe.each(expired.tables)('in %s', (table) => {
  test('rows are deleted when nothing can need them, and not before', async () => {
    await add(table, keptFor[table] + 5)
    await add(table, keptFor[table] - 60)
    await add(table, -60)
    expect(await expired.deleteBatch(database.db, table, 10)).toBe(1)
    expect(await count(table)).toBe(2)
    expect(await expired.deleteBatch(database.db, table, 10)).toBe(0)
  })

  test('no more rows are deleted at once than a batch holds', async () => {
    for (let n = 0; n < 5; n++) await add(table, keptFor[table] + 5)
    expect(await expired.deleteBatch(database.db, table, 2)).toBe(2)
    expect(await expired.deleteBatch(database.db, table, 2)).toBe(2)
    expect(await expired.deleteBatch(database.db, table, 2)).toBe(1)
    expect(await count(table)).toBe(0)
  })

  test('several processes at once share the work without waiting or failing', async () => {
    for (let n = 0; n < 30; n++) await add(table, keptFor[table] + 5)
    const sweeps = await Promise.all(Array.from({ length: 8 }, () => expired.deleteBatch(database.db, table, 10)))
    const left = await count(table)
    expect(sweeps.reduce((sum, deleted) => sum + deleted, 0)).toBe(30 - left)
    while ((await expired.deleteBatch(database.db, table, 10)) > 0);
    expect(await count(table)).toBe(0)
  })

  test('a locked row is left for later', async () => {
    await add(table, keptFor[table] + 5)
    const user = await database.dedicated()
    await user.query('begin')
    await user.query(`select 1 from ${table} for update`)
    expect(await expired.deleteBatch(database.db, table, 10)).toBe(0)
    await user.query('commit')
    await user.end()
    expect(await expired.deleteBatch(database.db, table, 10)).toBe(1)
  })
})

const hour = 3_600
/** How many seconds an artifact of each model is kept after its expiry. */
const keptForModel: Record<ArtifactModel, number> = {
  AccessToken: 300,
  AuthorizationCode: 300,
  ClientCredentials: 300,
  DeviceCode: 300,
  Interaction: hour,
  PushedAuthorizationRequest: hour,
  Receipt: 300,
  RefreshToken: 300,
  RegistrationAccessToken: 300,
}
const elsewhere = ['Client', 'Grant', 'IdToken', 'InitialAccessToken', 'ReplayDetection', 'Session'] // not artifacts
const switchedOff = ['BackchannelAuthenticationRequest', 'PreAuthorizedCode'] // the features that store them are off

describe('the models of the engine', () => {
  test('all have their retention in the table, and a model without one cannot be stored', async () => {
    const source = await readFile(fileURLToPath(new URL('lib/models/index.js', engine)), 'utf8')
    const names = [...source.matchAll(/^ {2}get(\w+),$/gm)].map(([, name = '']) => name)
    const stored = names.filter((name) => ![...elsewhere, ...switchedOff, 'BaseModel', 'BaseToken'].includes(name))
    expect([...stored, 'Receipt'].sort()).toEqual(Object.keys(models).sort())
    for (const name of switchedOff) expect(() => adapterWith({} as Storage)(name)).toThrow(`The model ${name}`)
  })

  test.each(Object.entries(keptForModel))(
    'include %s, which is kept %i seconds after its expiry and no longer',
    async (model, kept) => {
      for (const [name, endedAgo] of [
        ['gone', kept + 5],
        ['kept', kept - 60],
      ] as const) {
        await testDatabase.query(
          `insert into artifacts (id_hash, model, payload, expires_at, consumed_at, created_at)
         values (sha256($1::bytea), $2, '{}', now() - make_interval(secs => $3), now(), now())`,
          [name, model, endedAgo],
        )
      }
      expect(await expired.deleteBatch(database.db, 'artifacts', 10)).toBe(1)
      expect(await testDatabase.query(`select 1 from artifacts where id_hash = sha256('kept')`)).toHaveLength(1)
    },
  )
})

describe('the audit', () => {
  test('loses only lines that were written with an expiry, once it has passed, whoever deletes', async () => {
    await add('audit_events', -60)
    await expect(testDatabase.query('delete from audit_events')).rejects.toThrow('append-only')
    await testDatabase.query(`insert into audit_events (occurred_at, type) values (now(), 'account.created')`)
    await expect(testDatabase.query('delete from audit_events where expires_at is null')).rejects.toThrow('append-only')
    await expect(testDatabase.query('update audit_events set expires_at = now()')).rejects.toThrow('append-only')
    expect(await expired.deleteBatch(database.db, 'audit_events', 10)).toBe(0)
    expect(await count('audit_events')).toBe(2)
  })
})

test('only one process at a time deletes', async () => {
  for (let n = 0; n < 5; n++) await add('replays', 5)
  const leader = await database.dedicated()
  await leader.query(`select pg_advisory_lock(hashtextextended('postern sweep', 0))`)
  expect(await expired.deleteBatch(database.db, 'replays', 10)).toBe(0)
  await leader.end()
  await eventually(async () => expect(await expired.deleteBatch(database.db, 'replays', 10)).toBe(5))
})

test('rows without an expiry are never swept', async () => {
  await testDatabase.query(
    `insert into artifacts (id_hash, model, payload, created_at) values ('\\x01', 'RegistrationAccessToken', '{}', now())`,
  )
  expect(await expired.deleteBatch(database.db, 'artifacts', 10)).toBe(0)
  expect(await count('artifacts')).toBe(1)
})
