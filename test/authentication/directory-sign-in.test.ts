import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLimits, knownNetworkOf, knownNetworkSeconds } from '../../src/authentication/attempts.ts'
import { createSignIn } from '../../src/authentication/sign-in.ts'
import { createPasswords } from '../../src/crypto/passwords.ts'
import { connect, type Database } from '../../src/database/connect.ts'
import { secret } from '../../src/secret.ts'
import * as throttles from '../../src/stores/operations/throttles.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const throttleKey = secret(randomBytes(32))
const attempt = { email: 'ada@example.com', password: 'wrong', requestId: 'r', knownBrowser: undefined }
const [home, cafe] = ['203.0.113.9', '198.51.100.7']

let testDatabase: TestDatabase
let database: Database
beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 4, preparedStatements: true, onError: () => {} })
})
afterAll(async () => {
  await database?.close()
  await testDatabase?.drop()
})

test('A directory sees a password only as often as one that is kept here would be checked', async () => {
  const { db } = database
  const seen: [string, boolean][] = []
  const signIn = createSignIn({
    db,
    passwords: createPasswords(),
    throttleKey,
    directory: {
      isAsked: () => true,
      async signIn({ password, mayCheck }) {
        seen.push([password.slice(0, 5), mayCheck])
        return { refused: 'wrong-password', overrules: true }
      },
    },
  })
  expect(await signIn({ ...attempt, address: cafe })).toEqual({ error: 'wrong-credentials' })
  expect(await signIn({ ...attempt, address: cafe, password: 'x'.repeat(1_025) })).toEqual({
    error: 'wrong-credentials',
  })
  expect(seen).toEqual([
    ['wrong', true],
    ['xxxxx', false],
  ])

  // Others in both networks have used up their attempts. Ada has signed in from one of them before.
  for (const address of [home, cafe]) {
    const { open = [], blind } = createLimits(throttleKey)({ email: attempt.email, address, knownBrowser: undefined })
    const isOfPair = (keyHash: Buffer) => blind.some((rule) => rule.keyHash.equals(keyHash))
    const shared = open.map((rules) => rules.filter(({ keyHash }) => !isOfPair(keyHash)))
    for (let times = 0; times < 205; times++) await throttles.begin(db, shared, { mark: Buffer.alloc(32) })
  }
  const mark = knownNetworkOf(throttleKey, { email: attempt.email, address: home })
  await throttles.mark(db, mark, knownNetworkSeconds)
  seen.length = 0
  for (const address of [cafe, home]) {
    expect(await signIn({ ...attempt, address })).toMatchObject({ error: 'too-many-attempts' })
  }
  expect(seen).toEqual([
    ['wrong', false],
    ['wrong', true],
  ])
})
