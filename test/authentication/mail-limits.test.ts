import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { knownNetworkOf, knownNetworkSeconds } from '../../src/authentication/attempts.ts'
import { createMailLimits, type MailLimits } from '../../src/authentication/mail-limits.ts'
import { connect, type Database } from '../../src/database/connect.ts'
import { secret } from '../../src/secret.ts'
import * as throttles from '../../src/stores/operations/throttles.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const throttleKey = secret(randomBytes(32))
const email = 'owner@example.com'
const [home, cafe] = ['203.0.113.9', '198.51.100.7']
const strangers = Array.from({ length: 20 }, (_, number) => `192.0.2.${number}`)

let testDatabase: TestDatabase
let database: Database
let limits: MailLimits
beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() }) // nothing fills up again meanwhile
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 2, preparedStatements: true, onError: () => {} })
  limits = createMailLimits({ db: database.db, throttleKey })
  await throttles.mark(database.db, knownNetworkOf(throttleKey, { email, address: home }), knownNetworkSeconds)
})
afterAll(async () => {
  vi.useRealTimers()
  await database?.close()
  await testDatabase?.drop()
})

/** Asks from an address until it gets no more, and returns the number of mails. */
async function mailsFor(kind: 'link' | 'code', address: string): Promise<number> {
  for (let sent = 0; ; sent++) if (!(await limits({ kind, email, address }))) return sent
}

test.each(['link', 'code'] as const)(
  'Strangers who use up the mails of an address leave its owner some: %s',
  async (kind) => {
    let ofStrangers = 0
    for (const address of strangers) ofStrangers += await mailsFor(kind, address)
    expect(ofStrangers).toBe(kind === 'link' ? 12 : 8)
    expect(await mailsFor(kind, cafe)).toBe(0)
    expect(await mailsFor(kind, home)).toBe(kind === 'link' ? 3 : 4)
  },
)
