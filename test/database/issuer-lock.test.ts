import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Database } from '../../src/database/connect.ts'
import { lockIssuer } from '../../src/database/issuer-lock.ts'
import { postern as commandLine } from '../support/command-line.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'

const other = 'https://other.example'

let postern: TestPostern
let database: Database
let empty: TestDatabase
let elsewhere: Database
beforeAll(async () => {
  postern = await startPostern()
  empty = await createDatabase()
  const to = (url: string) => connect({ url, poolSize: 2, preparedStatements: true, onError: () => {} })
  database = to(postern.database.url)
  elsewhere = to(empty.url)
})
afterAll(async () => {
  await database?.close()
  await elsewhere?.close()
  await empty?.drop()
  await postern?.stop()
})

describe('a second server on one database', () => {
  test('is refused with another ISSUER, with both issuers and advice', async () => {
    const env = { ...postern.env, ISSUER: other, PORT: String(await freePort()) }
    const { code, stderr } = await commandLine(['start'], { env })
    expect(code).toBe(1)
    expect(stderr).toContain(
      `with another ISSUER: postern of ${postern.issuer}, from 127.0.0.1. This one has ISSUER=${other}`,
    )
    expect(stderr).toContain('Correct it, set DATABASE_URL to a database of its own, or stop the other servers first')
  })

  test('may run with the same ISSUER, and a refused one leaves nothing behind', async () => {
    const second = await lockIssuer(database, postern.issuer)
    await second.stop()
  })

  test('may have another ISSUER once the first has stopped', async () => {
    const first = await lockIssuer(elsewhere, other)
    await first.stop()
    const second = await lockIssuer(elsewhere, postern.issuer)
    await second.stop()
  })

  test('is still refused after the first lost its connection', async () => {
    const first = await lockIssuer(elsewhere, other)
    await empty.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
      `postern of ${other}`,
    ])
    const outcome = () =>
      lockIssuer(elsewhere, postern.issuer).then(
        (second) => second.stop(),
        (error) => error.message,
      )
    await expect.poll(outcome).toContain(`postern of ${other}`)
    await first.stop()
  })

  test('may have another ISSUER once the first has stopped, even while it was connecting again', async () => {
    const [isConnecting, mayConnect] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let connections = 0
    const slow: Database = {
      ...elsewhere,
      async dedicated() {
        if (++connections > 1) {
          isConnecting.resolve()
          await mayConnect.promise
        }
        return elsewhere.dedicated()
      },
    }
    const first = await lockIssuer(slow, other)
    await empty.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
      `postern of ${other}`,
    ])
    await isConnecting.promise
    const stopped = first.stop()
    mayConnect.resolve()
    await stopped
    const second = await lockIssuer(elsewhere, postern.issuer)
    await second.stop()
  })
})
