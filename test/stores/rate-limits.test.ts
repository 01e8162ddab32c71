import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { connect, type Database } from '../../src/database/connect.ts'
import * as rateLimits from '../../src/stores/rate-limits.ts'
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

const startedAt = Date.now()
const at = (seconds: number) => vi.useFakeTimers({ toFake: ['Date'], now: startedAt + seconds * 1_000 })
const limit = (most: number) => ({ keyHash: randomBytes(32), most })
const take = (own: rateLimits.RateLimit, everyone = limit(1_000)) =>
  rateLimits.take(database.db, { own, everyone, windowSeconds: 60 })

describe('what is limited to so many a minute', () => {
  test('happens so often and no more, and again when the minute since the first is over', async () => {
    const own = limit(2)
    at(0)
    expect(await take(own)).toBe(0)
    at(40)
    expect([await take(own), await take(own)]).toEqual([0, 20])
    at(59)
    expect(await take(own)).toBe(1)
    at(60)
    expect([await take(own), await take(own), await take(own)]).toEqual([0, 0, 60])
  })

  test('happens no more often when everybody asks at the same moment', async () => {
    const own = limit(10)
    const waits = await Promise.all(Array.from({ length: 50 }, () => take(own)))
    expect(waits.filter((seconds) => seconds === 0)).toHaveLength(10)
  })

  test('is limited for everyone together too, of which one who is over the own limit takes nothing', async () => {
    const [greedy, other, everyone] = [limit(1), limit(10), limit(3)]
    at(0)
    expect(await take(greedy, everyone)).toBe(0)
    for (let again = 0; again < 5; again++) expect(await take(greedy, everyone)).toBe(60)
    at(30)
    expect([await take(other, everyone), await take(other, everyone)]).toEqual([0, 0])
    expect(await take(other, everyone)).toBe(30)
  })
})
