import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { connect, type Database } from '../../../src/database/connect.ts'
import * as rateLimits from '../../../src/stores/operations/rate-limits.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'

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
const windowSeconds = 60
const take = (...limits: rateLimits.RateLimit[]) => rateLimits.take(database.db, { limits, windowSeconds })

describe('an event limited to a number a minute', () => {
  test('is allowed that often, and again when a minute has passed since the first', async () => {
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

  test('is not allowed more often when many ask at the same moment', async () => {
    const own = limit(10)
    const waits = await Promise.all(Array.from({ length: 50 }, () => take(own)))
    expect(waits.filter((seconds) => seconds === 0)).toHaveLength(10)
  })

  test('counts under a wider key only while it is within the narrower limits', async () => {
    const [greedy, other, wide] = [limit(1), limit(10), limit(3)]
    at(0)
    expect(await take(greedy, wide)).toBe(0)
    for (let again = 0; again < 5; again++) expect(await take(greedy, wide)).toBe(60)
    at(30)
    expect([await take(other, wide), await take(other, wide)]).toEqual([0, 0])
    expect(await take(other, wide)).toBe(30)
  })
})

describe('a shared limit', () => {
  const share = (own: Buffer, everyone: rateLimits.RateLimit & { reserved: number }) =>
    rateLimits.takeShared(database.db, { own, everyone, windowSeconds })
  const mostOf = async (own: Buffer, everyone: rateLimits.RateLimit & { reserved: number }) => {
    for (let count = 0; count < 100; count++) if ((await share(own, everyone)) > 0) return count
    return Number.POSITIVE_INFINITY
  }

  test('reserves a part for those who have not used it yet', async () => {
    const everyone = { ...limit(10), reserved: 3 }
    const [greedy, ...others] = Array.from({ length: 5 }, () => randomBytes(32))
    at(0)
    expect(await mostOf(greedy as Buffer, everyone)).toBe(7)
    expect(await Promise.all(others.slice(0, 3).map((own) => share(own, everyone)))).toEqual([0, 0, 0])
    expect(await share(others[3] as Buffer, everyone)).toBe(60)
  })

  test('is available in full again when the window has passed', async () => {
    const everyone = { ...limit(4), reserved: 2 }
    const own = randomBytes(32)
    at(0)
    expect(await mostOf(own, everyone)).toBe(2)
    at(60)
    expect(await mostOf(own, everyone)).toBe(2)
  })

  test('is never exceeded, however many ask at the same moment', async () => {
    const everyone = { ...limit(10), reserved: 2 }
    const waits = await Promise.all(Array.from({ length: 50 }, () => share(randomBytes(32), everyone)))
    expect(waits.filter((seconds) => seconds === 0)).toHaveLength(10)
  })
})
