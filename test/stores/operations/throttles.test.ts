import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Database } from '../../../src/database/connect.ts'
import * as throttles from '../../../src/stores/operations/throttles.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'

let testDatabase: TestDatabase
let databases: Database[] // one for each of two processes

beforeAll(async () => {
  testDatabase = await createDatabase()
  const options = { url: testDatabase.url, poolSize: 8, preparedStatements: true, onError: () => {} }
  databases = [connect(options), connect(options)]
})
afterAll(async () => {
  for (const database of databases ?? []) await database.close()
  await testDatabase?.drop()
})

const newRule = (allowance: Partial<throttles.ThrottleRule> = {}): throttles.ThrottleRule => ({
  keyHash: randomBytes(32),
  burst: 3,
  everySeconds: 10,
  ...allowance,
})
const startedAt = Date.now()
const at = (seconds: number) => new Date(startedAt + seconds * 1_000)
const dbOf = (process: number) => {
  const database = databases[process % databases.length]
  if (!database) throw new Error('there is no database')
  return database.db
}
/** Begins an attempt. Returns the way it took, or the seconds that it must wait. */
async function begin(ways: throttles.ThrottleRule[][], seconds = 0, process = 0) {
  const { way, waits } = await throttles.begin(dbOf(process), ways, { at: at(seconds) })
  return way === undefined ? { retryAfterSeconds: Math.min(...waits) } : { way }
}

/** Counts the attempts that are allowed at a moment. */
async function countAttempts(ways: throttles.ThrottleRule[][], seconds = 0): Promise<number> {
  for (let count = 0; count < 1_000; count++) if ('retryAfterSeconds' in (await begin(ways, seconds))) return count
  return Number.POSITIVE_INFINITY
}

describe('attempts under a key', () => {
  test('are limited to its burst at once, and then to one after each interval', async () => {
    const rule = newRule()
    expect(await countAttempts([[rule]])).toBe(3)
    expect(await begin([[rule]])).toEqual({ retryAfterSeconds: 10 })
    expect(await begin([[rule]], 4)).toEqual({ retryAfterSeconds: 6 })
    expect(await countAttempts([[rule]], 10)).toBe(1)
    expect(await countAttempts([[rule]], 35)).toBe(2)
    expect(await countAttempts([[rule]], 10_000)).toBe(3)
  })

  test('that must wait do not make the wait longer', async () => {
    const rule = newRule()
    await countAttempts([[rule]])
    for (let second = 0; second < 10; second++)
      expect(await begin([[rule]], second)).toHaveProperty('retryAfterSeconds')
    expect(await begin([[rule]], 10)).toEqual({ way: 0 })
  })

  test('by two processes at the same moment are counted one by one', async () => {
    const rule = newRule({ burst: 10 })
    const attempts = Array.from({ length: 60 }, (_, index) => begin([[rule]], 0, index))
    expect((await Promise.all(attempts)).filter((begun) => 'way' in begun)).toHaveLength(10)
  })

  test('that fail for one key count under no other', async () => {
    const [narrow, wide] = [newRule({ burst: 2 }), newRule({ burst: 30 })]
    const attempts = Array.from({ length: 60 }, (_, index) => begin([[narrow, wide]], 0, index))
    expect((await Promise.all(attempts)).filter((begun) => 'way' in begun)).toHaveLength(2)
    expect(await countAttempts([[wide]])).toBe(28)
  })

  test('by a process whose clock is slightly behind do not have to wait', async () => {
    const rule = newRule({ burst: 10 })
    expect(await begin([[rule]], 5)).toEqual({ way: 0 })
    expect(await begin([[rule]], 0)).toEqual({ way: 0 })
  })

  test('are available again when given back, and all of them when the key is forgotten', async () => {
    const [restored, forgotten] = [newRule(), newRule()]
    await countAttempts([[restored, forgotten]])
    await throttles.giveBack(dbOf(0), { restored: [restored], forgotten: [forgotten] })
    expect(await countAttempts([[restored]])).toBe(1)
    expect(await countAttempts([[forgotten]])).toBe(3)
  })

  test('given back while others begin, by two processes, cause no deadlock and lose nothing', async () => {
    const rules = Array.from({ length: 8 }, () => newRule({ burst: 100 }))
    const mixed = (index: number) => (index % 3 ? rules : [...rules].reverse())
    await Promise.all(
      Array.from({ length: 80 }, async (_, index) => {
        expect(await begin([mixed(index)], 0, index)).toEqual({ way: 0 })
        await throttles.giveBack(dbOf(index + 1), { restored: mixed(index + 1) })
      }),
    )
    for (const rule of rules) expect(await countAttempts([[rule]])).toBe(100)
  })
})

describe('an attempt with several ways', () => {
  test('takes the first open one, and counts only under the keys of that way', async () => {
    const [own, shared, reserve] = [newRule({ burst: 1 }), newRule({ burst: 2 }), newRule({ burst: 4 })]
    const ways = [[own], [shared], [reserve]]
    const taken = []
    for (let count = 0; count < 7; count++) taken.push(await begin(ways))
    expect(taken).toEqual([0, 1, 1, 2, 2, 2, 2].map((way) => ({ way })))
    expect(await begin(ways)).toEqual({ retryAfterSeconds: 10 })
  })

  test('waits for the way that opens first', async () => {
    const ways = [[newRule({ burst: 1, everySeconds: 100 })], [newRule({ burst: 1, everySeconds: 7 })]]
    await countAttempts(ways)
    expect(await begin(ways)).toEqual({ retryAfterSeconds: 7 })
  })

  test('uses another way when others have used up a key of the first', async () => {
    const [shared, mine, other] = [newRule(), newRule(), newRule({ burst: 100 })]
    await countAttempts([[shared, other]])
    expect(await begin([[shared, mine]])).toHaveProperty('retryAfterSeconds')
    expect(await begin([[shared, mine], [mine]])).toEqual({ way: 1 })
  })

  test('gets the wait of each way', async () => {
    const ways = [[newRule({ burst: 1, everySeconds: 100 })], [newRule({ burst: 1, everySeconds: 7 })], [newRule()]]
    for (let count = 0; count < 2; count++) await begin(ways)
    expect(await throttles.begin(dbOf(0), ways, { at: at(0) })).toEqual({ way: 2, waits: [100, 7, 0], isMarked: false })
  })
})

describe('a mark of a network', () => {
  test('lasts for the time it was set for, and only under its own key', async () => {
    const [marked, other] = [randomBytes(32), randomBytes(32)]
    await throttles.mark(dbOf(0), marked, 60)
    const isMarked = async (mark: Buffer, seconds: number) =>
      (await throttles.begin(dbOf(1), [[newRule()]], { mark, at: at(seconds) })).isMarked
    expect([await isMarked(marked, 0), await isMarked(other, 0), await isMarked(marked, 3_600)]).toEqual([
      true,
      false,
      false,
    ])
    await throttles.mark(dbOf(0), marked, 7_200)
    expect(await isMarked(marked, 3_600)).toBe(true)
  })
})
