import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { connect, type Database } from '../../src/database/connect.ts'
import * as throttles from '../../src/stores/throttles.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

let testDatabase: TestDatabase
let database: Database

beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 8, preparedStatements: true, onError: () => {} })
})
afterAll(async () => {
  await database?.close()
  await testDatabase?.drop()
})
afterEach(() => vi.useRealTimers())

const newRule = () => ({ keyHash: randomBytes(32), free: 10, longestDelaySeconds: 300 })
const startedAt = Date.now()
const at = (ms: number) => {
  vi.useFakeTimers({ toFake: ['Date'] })
  vi.setSystemTime(startedAt + ms)
}

describe('several people at one address', () => {
  test('are not kept waiting by one who came a moment later and was counted first', async () => {
    const rule = newRule()
    at(5)
    expect(await throttles.begin(database.db, [rule])).toBe(0)
    at(0)
    expect(await throttles.begin(database.db, [rule])).toBe(0)
  })

  test('are not kept waiting by one who succeeded a moment after they came', async () => {
    const rule = newRule()
    at(0)
    expect(await throttles.begin(database.db, [rule])).toBe(0)
    at(5)
    await throttles.succeed(database.db, { cleared: [], refunded: [rule.keyHash] })
    at(0)
    expect(await throttles.begin(database.db, [rule])).toBe(0)
  })
})

describe('guesses', () => {
  test('at the same moment are counted one by one, and no more of them get through than one after the other', async () => {
    const rule = newRule()
    at(0)
    const waits = await Promise.all(Array.from({ length: 50 }, () => throttles.begin(database.db, [rule])))
    expect(waits.filter((seconds) => seconds === 0)).toHaveLength(rule.free + 1)
  })

  test('wait twice as long after each failure, up to the longest delay', async () => {
    const rule = { ...newRule(), free: 0, longestDelaySeconds: 5 }
    for (const delay of [1, 2, 4, 5, 5]) {
      const now = Date.now()
      at(now - startedAt)
      expect(await throttles.begin(database.db, [rule])).toBe(0)
      expect(await throttles.begin(database.db, [rule])).toBe(delay)
      at(now - startedAt + delay * 1_000)
    }
  })
})
