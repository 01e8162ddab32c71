import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addressOf, createPeople, kinds, password } from '../../../bench/addressees.ts'
import { createAsker } from '../../../bench/asked.ts'
import { surfacesWith } from '../../../bench/surfaces.ts'
import { parse } from '../../../src/config/index.ts'
import { createLogger } from '../../../src/log/index.ts'
import { current } from '../../../src/oidc/request/work.ts'
import { type RunningServer, serve } from '../../../src/serve.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'
import { cheapPasswords, environmentFor } from '../../support/postern.ts'

const statements: string[] = []
let database: TestDatabase
let server: RunningServer
let issuer: string
beforeAll(async () => {
  database = await createDatabase()
  const config = parse({ ...(await environmentFor(database.url)), SIGN_UP: 'open', SIGN_IN_BY_CODE: 'true' })
  issuer = config.ISSUER
  const log = createLogger('silent')
  // Only those of requests: the letters are delivered at the same time.
  server = await serve(config, {
    log,
    onStatement: (sql) => void (current() && statements.push(sql)),
    passwords: cheapPasswords(),
  })
  await createPeople(server.postern)
})
afterAll(async () => {
  await server?.stop()
  await database?.drop()
})

async function delivered(): Promise<void> {
  await expect
    .poll(() => database.query('select from outbox where composed_at is null and sent_at is null'), { timeout: 10_000 })
    .toEqual([])
}

// The time is measured by bench/enumeration.ts.
describe('no page tells whether an address has an account, in what it answers, stores or asks the database', () => {
  test.each(surfacesWith({ password, delivered }))('$name', async ({ open }) => {
    const told: string[] = []
    for (const about of kinds.map(addressOf)) {
      await database.query('delete from throttles')
      const ask = await open(createAsker({ issuer, about, statements }), about)
      const { shown, statements: sent } = await ask()
      await delivered()
      const stored = await database.query(
        `select purpose, attempts, code_hash is null as without_code from confirmations where code_hash is not null`,
      )
      told.push(JSON.stringify([shown, sent, stored], undefined, 1))
      await database.query('delete from confirmations')
    }
    expect(told).toEqual(kinds.map(() => told[0]))
  })
})
