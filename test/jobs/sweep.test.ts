import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { connect, type Database } from '../../src/database/connect.ts'
import { startSweeping } from '../../src/jobs/sweep.ts'
import { createLogger } from '../../src/log/index.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const batchSize = 500

let testDatabase: TestDatabase
let database: Database
const statements: string[] = []
const logged: string[] = []
const log = createLogger('warn', { write: (line) => logged.push(line) })

beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({
    url: testDatabase.url,
    poolSize: 2,
    preparedStatements: true,
    onError: () => {},
    onStatement: (sql) => statements.push(sql),
  })
})
afterEach(() => vi.useRealTimers())
afterAll(async () => {
  await database?.close()
  await testDatabase?.drop()
})

async function addExpired(amount: number): Promise<void> {
  await testDatabase.query(
    `insert into replays select sha256(($1 || n)::bytea), now() - interval '1 hour' from generate_series(1, $2) n`,
    [randomBytes(8).toString('hex'), amount],
  )
}

const left = async () => Number((await testDatabase.query('select count(*)::int as n from replays'))[0]?.['n'])

/** Starts sweeping, and advances the clock to the first sweep. */
async function sweepOnce(options: { auditRetentionSeconds?: number } = {}) {
  // Opens a connection while the clock is real.
  await database.db.selectFrom('throttles').select('key_hash').limit(1).execute()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const sweeping = startSweeping({ database, log, ...options })
  statements.length = 0
  await vi.runOnlyPendingTimersAsync()
  vi.useRealTimers()
  return sweeping
}

test('the sweep deletes everything expired, in batches, and nothing else', async () => {
  await addExpired(1_200)
  await testDatabase.query(`insert into replays values ('\\x00', now() + interval '1 hour')`)
  const sweeping = await sweepOnce()
  await vi.waitFor(async () => expect(await left()).toBe(1), { timeout: 120_000 })
  await sweeping.stop()
  const deletions = statements.filter((sql) => sql.includes('delete') && sql.includes('"replays"'))
  expect(deletions).toHaveLength(Math.ceil(1_200 / batchSize))
})

test('a sweep that fails is logged, and tried again', async () => {
  await addExpired(10)
  await testDatabase.query('alter table replays rename to elsewhere')
  const failing = await sweepOnce()
  await vi.waitFor(() => expect(logged.join()).toContain('sweeping failed, and will be tried again'), {
    timeout: 120_000,
  })
  await failing.stop()
  await testDatabase.query('alter table elsewhere rename to replays')
  const sweeping = await sweepOnce()
  await vi.waitFor(async () => expect(await left()).toBe(1), { timeout: 120_000 })
  await sweeping.stop()
})

test('a stopped sweep deletes nothing more', async () => {
  await addExpired(10)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  await startSweeping({ database, log }).stop()
  await vi.runOnlyPendingTimersAsync()
  vi.useRealTimers()
  expect(await left()).toBe(11)
})

test('audit events are swept once they exceed their retention time, and only if one is set', async () => {
  await testDatabase.query(
    `insert into audit_events (occurred_at, type) select now() - n * interval '1 day', 'test' from generate_series(1, 9) n`,
  )
  const kept = async () => (await testDatabase.query(`select 1 from audit_events where type = 'test'`)).length
  const withoutEnd = await sweepOnce()
  await vi.waitFor(() => expect(statements.join()).toContain('"grants"'), { timeout: 120_000 }) // the last table
  await withoutEnd.stop()
  expect(await kept()).toBe(9)
  const sweeping = await sweepOnce({ auditRetentionSeconds: 5 * 86_400 + 3_600 })
  await vi.waitFor(async () => expect(await kept()).toBe(5), { timeout: 120_000 })
  await sweeping.stop()
})
