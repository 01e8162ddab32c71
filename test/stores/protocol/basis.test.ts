import { randomBytes } from 'node:crypto'
import { CompiledQuery } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { connect, type Database } from '../../../src/database/connect.ts'
import type { Tx } from '../../../src/database/schema.ts'
import { stageOf } from '../../../src/oidc/request/storage.ts'
import * as clients from '../../../src/stores/clients/clients.ts'
import * as accounts from '../../../src/stores/people/accounts.ts'
import type { Artifact } from '../../../src/stores/protocol/artifacts.ts'
import type { SessionChange } from '../../../src/stores/protocol/stage-statement.ts'
import * as stages from '../../../src/stores/protocol/stages.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'

const inAnHour = () => Math.floor(Date.now() / 1000) + 3_600

let testDatabase: TestDatabase
let database: Database
let id: string // the id of an account, of a client and of the account's session
let basis: stages.Basis

beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 10, preparedStatements: true, onError: () => {} })
})
afterAll(async () => {
  await database.close()
  await testDatabase.drop()
})

beforeEach(async () => {
  id = randomBytes(8).toString('hex')
  const idHash = randomBytes(32)
  const now = new Date()
  const values = [id, now]
  await testDatabase.query(
    `insert into accounts (id, email, email_canonical, created_at, updated_at) values ($1, $1, $1, $2, $2)`,
    values,
  )
  await testDatabase.query(
    `insert into clients (id, metadata, created_at, updated_at) values ($1, '{}', $2, $2)`,
    values,
  )
  await testDatabase.query(
    `insert into sessions (uid, id_hash, account_id, payload, expires_at, created_at) values ($1, $3, $1, '{}', 'infinity', $2)`,
    [...values, idHash],
  )
  basis = {
    client: { id, updatedAtMs: now.getTime() },
    account: { id, epoch: 0 },
    session: { uid: id, presentedHash: idHash, accountId: id },
  }
})

const inTransaction = (work: (tx: Tx) => Promise<unknown>) => database.db.transaction().execute(work)
const execute = (tx: Tx, text: string, ...values: unknown[]) =>
  tx.executeQuery(CompiledQuery.raw(text, [id, ...values]))

type Move = (tx: Tx) => Promise<unknown>

/** Changes that end all sign-ins of the account, and delete what was just written for one. */
const endings: Record<string, Move> = {
  'the account was signed out everywhere': (tx) => accounts.signOutEverywhere(tx, id),
  'the account was disabled': (tx) => accounts.disable(tx, id),
  'the account was disabled and enabled': async (tx) => {
    await accounts.disable(tx, id)
    await accounts.enable(tx, id)
  },
  'the account was deleted': (tx) => accounts.destroy(tx, id),
  'the client was deleted': (tx) => clients.destroy(tx, id),
}

/** Every change to a fact that a request is based on. */
const moves: [string, Move][] = Object.entries({
  ...endings,
  'the session was ended': (tx) => execute(tx, 'update sessions set destroyed_at = now() where uid = $1'),
  'somebody else signed in to the session': (tx) =>
    execute(
      tx,
      `with other as (insert into accounts (id, email, email_canonical, created_at, updated_at)
         values ('other ' || $1, 'other ' || $1, 'other ' || $1, now(), now()))
       update sessions set account_id = 'other ' || $1, id_hash = $2, previous_id_hash = null where uid = $1`,
      randomBytes(32),
    ),
  'the client was changed': (tx) =>
    execute(tx, `update clients set updated_at = updated_at + interval '1 millisecond' where id = $1`),
  'the client was disabled': (tx) => clients.setDisabled(tx, id, true),
  'the lifetime of the client ended': (tx) =>
    execute(tx, `update clients set expires_at = now() - interval '1 second' where id = $1`),
})

function code(): Artifact {
  const about = { grantId: undefined, family: undefined, accountId: id, clientId: id, sessionUid: id }
  const rest = { userCodeHash: undefined, payload: {}, expiresAtSeconds: inAnHour() }
  return { model: 'AuthorizationCode', idHash: randomBytes(32), ...about, ...rest }
}

const changed = (): SessionChange => ({
  uid: id,
  origin: basis.session,
  isNew: false,
  idHash: undefined,
  keepsPrevious: true,
  accountId: id,
  changed: { seen: true },
  removed: [],
  authorizationsChanged: {},
  authorizationsRemoved: [],
  expiresAtSeconds: inAnHour(),
})

const stage = (part: Partial<stages.Stage> = {}) =>
  stageOf({ basis, inserts: [code()], session: changed(), audit: [{ type: 'consent.given', clientId: id }], ...part })

async function applied(...all: stages.Stage[]): Promise<unknown[]> {
  const results = await stages.apply(database.db, all)
  return results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason))
}

/** Returns whether a stage waits for a row that another transaction has locked. */
const isWaiting = async () =>
  (
    await testDatabase.query(
      `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%held_accounts%'`,
    )
  ).length > 0

/** Returns the numbers of codes, audit lines and session changes. */
async function written(): Promise<unknown> {
  const [row] = await testDatabase.query(
    `select (select count(*)::int from artifacts where client_id = $1) as codes,
      (select count(*)::int from audit_events where type = 'consent.given' and client_id = $1) as lines,
      (select count(*)::int from sessions where uid = $1 and payload ? 'seen') as sessions`,
    [id],
  )
  return row
}

describe('a stage that is based on an account, a session and a client', () => {
  test('is applied while all three are unchanged', async () => {
    expect(await applied(stage())).toEqual(['applied'])
    expect(await written()).toEqual({ codes: 1, lines: 1, sessions: 1 })
  })

  test.each(moves)('writes nothing after %s', async (_, move) => {
    await inTransaction(move)
    expect(await applied(stage())).toEqual(['moved'])
    expect(await written()).toEqual({ codes: 0, lines: 0, sessions: 0 })
  })

  test.each(moves)('waits for the transaction in which %s, and then writes nothing', async (_, move) => {
    const [moved, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const moving = inTransaction(async (tx) => {
      await move(tx)
      moved.resolve()
      await release.promise
    })
    await moved.promise
    const outcome = applied(stage())
    await vi.waitUntil(isWaiting, 20_000)
    release.resolve()
    await moving
    expect(await outcome).toEqual(['moved'])
    expect(await written()).toEqual({ codes: 0, lines: 0, sessions: 0 })
  })

  test.each(Object.entries(endings))('leaves no code when, at the same moment, %s', async (_, ending) => {
    for (let round = 0; round < 5; round++) {
      await Promise.all([applied(stage()), inTransaction(ending)])
      expect(await written()).toMatchObject({ codes: 0 })
    }
  })

  test('does not prevent others from being applied together with it', async () => {
    const old = stage({ basis: { ...basis, account: { id, epoch: -1 } }, session: undefined })
    expect(await applied(old, stage(), stageOf({ inserts: [code()] }))).toEqual(['moved', 'applied', 'applied'])
    expect(await written()).toEqual({ codes: 2, lines: 1, sessions: 1 })
  })
})

describe('RFC 8628 §3.3: an approval of a device', () => {
  test.each(moves)('is rejected after %s', async (_, move) => {
    const device: Artifact = {
      ...code(),
      model: 'DeviceCode',
      accountId: undefined,
      clientId: undefined,
      sessionUid: undefined,
    }
    await applied(stageOf({ inserts: [device] }))
    await inTransaction(move)
    expect(await applied(stage({ inserts: [], decision: { ...device, accountId: id } }))).toEqual(['moved'])
    expect(await testDatabase.query(`select account_id from artifacts where id_hash = $1`, [device.idHash])).toEqual([
      { account_id: null },
    ])
  })
})
