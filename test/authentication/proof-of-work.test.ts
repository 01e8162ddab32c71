import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { createProofOfWork, type ProofOfWork, patienceSeconds } from '../../src/authentication/proof-of-work.ts'
import { connect, type Database } from '../../src/database/connect.ts'
import { secret } from '../../src/secret.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

let testDatabase: TestDatabase
let database: Database
let proofs: ProofOfWork
beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 2, preparedStatements: true, onError: () => {} })
})
beforeEach(async () => {
  await testDatabase.query('delete from replays')
  proofs = createProofOfWork({ db: database.db, key: secret(randomBytes(32)) })
})
afterAll(async () => {
  vi.useRealTimers()
  await database?.close()
  await testDatabase?.drop()
})

const later = (seconds: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 })
const [address, elsewhere] = ['203.0.113.9', '198.51.100.7']

test('A challenge that somebody waited for is accepted once, whatever is added to it', async () => {
  const challenge = proofs.challengeFor('form')
  const given = { challenge, answer: '', address }
  expect(await proofs.accept('form', given)).toBe(false)
  later(patienceSeconds)
  expect(await proofs.accept('form', { ...given, challenge: `${challenge}.1` })).toBe(false)
  expect(await proofs.accept('another form', given)).toBe(false)
  expect(await proofs.accept('form', given)).toBe(true)
  later(patienceSeconds)
  expect(await proofs.accept('form', given)).toBe(false)
})

test('Challenges that grow old together are accepted one after the other from each network', async () => {
  const [first, second, third] = [1, 2, 3].map(() => proofs.challengeFor('form'))
  later(patienceSeconds)
  const accept = (challenge = '', from = address) => proofs.accept('form', { challenge, answer: '', address: from })
  expect(await accept(first)).toBe(true)
  expect(await accept(second)).toBe(false)
  expect(await accept(third, elsewhere)).toBe(true)
  later(patienceSeconds)
  expect(await accept(second)).toBe(true)
})

test('A forged challenge, or one that is too old, is rejected', async () => {
  const challenge = proofs.challengeFor('form')
  const easier = challenge.replace(/^\d+/, '0')
  const earlier = challenge.replace(/\.\d+\./, '.1.')
  for (const forged of ['', '...', '0.0.0.0', easier, earlier])
    expect(await proofs.accept('form', { challenge: forged, answer: '1', address })).toBe(false)
  later(3_600)
  expect(await proofs.accept('form', { challenge, answer: '', address })).toBe(false)
})
