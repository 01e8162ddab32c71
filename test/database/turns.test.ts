import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from '../../src/config/index.ts'
import { connect, type Database } from '../../src/database/connect.ts'
import { migrate } from '../../src/database/migrate.ts'
import type { Tx } from '../../src/database/schema.ts'
import { untilOurTurn } from '../../src/database/waiting.ts'
import { createLogger } from '../../src/log/index.ts'
import { serve } from '../../src/serve.ts'
import * as keys from '../../src/stores/keys/keys.ts'
import * as locks from '../../src/stores/operations/locks.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { environmentFor } from '../support/postern.ts'

let database: TestDatabase
let another: Database // stands for another process that starts
let statements: string[]

beforeEach(async () => {
  statements = []
  database = await createDatabase()
  another = open()
})
afterEach(async () => {
  await another?.close()
  await database?.drop()
})

/** Connects without the time limits of Postern, so that those of the database hold. */
function open(onStatement?: (sql: string) => void): Database {
  const options = { url: database.url, poolSize: 2, preparedStatements: false, onError: () => {} }
  return connect({ ...options, ...(onStatement && { onStatement }) })
}

/** Limits every wait of a new connection to a moment. */
async function limitWaits(setting: 'lock_timeout' | 'statement_timeout', to: string): Promise<void> {
  await database.query(
    `do $$ begin execute format('alter database %I set ${setting} = ''${to}''', current_database()); end $$`,
  )
}

/** Holds a lock until work has asked for it several times. Returns the result of the work. */
async function whileAnotherHas<T>(
  lock: (tx: Tx) => Promise<unknown>,
  name: RegExp,
  work: () => Promise<T>,
): Promise<T> {
  const { done } = await another.db.transaction().execute(async (tx) => {
    await lock(tx)
    let isDone = false
    const done = work().finally(() => {
      isDone = true
    })
    done.catch(() => {})
    await eventually(() => expect(isDone || statements.filter((sql) => name.test(sql)).length >= 3).toBe(true))
    expect(isDone, 'the work is done without the lock').toBe(false)
    return { done }
  })
  return done
}

describe('a process that starts', () => {
  test.each([
    ['the first keys', keys.lead, /pg_advisory_xact_lock\(\$1\)/],
    ['the encryption keys', (tx: Tx) => locks.take(tx, 'encryption keys'), /hashtextextended/],
  ])('waits for another that decides about %s, however long that takes', async (_what, lock, name) => {
    await limitWaits('lock_timeout', '20ms')
    const env = { ...(await environmentFor(database.url)), DATABASE_PREPARED_STATEMENTS: 'false' }
    const log = createLogger('silent')
    const start = () => serve(parse(env), { log, onStatement: (sql) => statements.push(sql) })
    const server = await whileAnotherHas(lock, name, start)
    await server.stop()
    const purposes = (await keys.list(another.db)).map(({ purpose }) => purpose)
    expect(purposes).toHaveLength(new Set(purposes).size)
    expect(purposes).toContain('RS256')
  })

  test('waits for another that migrates, however long that takes', async () => {
    const kysely = '3853314791062309107' // the lock of its migrations
    await limitWaits('statement_timeout', '200ms')
    const starting = open((sql) => statements.push(sql))
    const hold = (tx: Tx) =>
      tx.selectNoFrom(({ fn, val }) => fn('pg_advisory_xact_lock', [val(kysely)]).as('lock')).execute()
    expect(await whileAnotherHas(hold, /pg_advisory_lock\(/, () => migrate(starting.db))).toEqual([])
    await starting.close()
  })

  test('waits only for others: any other failure ends it at once', async () => {
    let attempts = 0
    const work = async () => {
      attempts += 1
      throw new Error('the disk is full')
    }
    await expect(untilOurTurn(work)).rejects.toThrow('the disk is full')
    expect(attempts).toBe(1)
  })

  test('says where to look when its turn does not come', async () => {
    const cause = Object.assign(new Error('canceling statement due to lock timeout'), { code: '55P03' })
    const error = await untilOurTurn(() => Promise.reject(cause), { longestMs: -1 }).catch((failure) => failure)
    expect(error).toMatchObject({ message: expect.stringContaining('Find the process in pg_locks'), cause })
  })
})
