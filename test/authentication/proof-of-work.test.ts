import { createHash, randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createProofOfWork, type ProofOfWork } from '../../src/authentication/proof-of-work.ts'
import { connect, type Database } from '../../src/database/connect.ts'
import { secret } from '../../src/secret.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

let testDatabase: TestDatabase
let database: Database
let proofs: ProofOfWork
beforeAll(async () => {
  testDatabase = await createDatabase()
  database = connect({ url: testDatabase.url, poolSize: 4, preparedStatements: true, onError: () => {} })
  proofs = createProofOfWork({ db: database.db, key: secret(randomBytes(32)) })
})
afterEach(() => vi.useRealTimers())
afterAll(async () => {
  await database?.close()
  await testDatabase?.drop()
})

function solve(challenge: string): string {
  for (let answer = 0; ; answer++) {
    const hash = createHash('sha256').update(`${challenge}.${answer}`).digest()
    if (hash.readUInt32BE(0) >>> (32 - Number.parseInt(challenge, 10)) === 0) return String(answer)
  }
}

const later = (seconds: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 })

describe('A proof of work', () => {
  test('is accepted once, also of two forms that are sent at once', async () => {
    const challenge = proofs.challengeFor('form')
    const given = { challenge, answer: solve(challenge) }
    const outcomes = await Promise.all([1, 2, 3].map(() => proofs.accept('form', given)))
    expect(outcomes.filter(Boolean)).toHaveLength(1)
  })

  test('can be replaced by waiting a minute, once', async () => {
    const given = { challenge: proofs.challengeFor('form'), answer: '' }
    expect(await proofs.accept('form', given)).toBe(false)
    later(59)
    expect(await proofs.accept('form', given)).toBe(false)
    later(2)
    expect(await proofs.accept('form', given)).toBe(true)
    expect(await proofs.accept('form', given)).toBe(false)
  })

  test('is rejected when it is for another form, is forged, easier than asked, or too old', async () => {
    const challenge = proofs.challengeFor('form')
    const [, ...rest] = challenge.split('.')
    const easy = ['0', ...rest].join('.')
    expect(await proofs.accept('other', { challenge, answer: solve(challenge) })).toBe(false)
    expect(await proofs.accept('form', { challenge: easy, answer: '' })).toBe(false)
    expect(await proofs.accept('form', { challenge: '', answer: '' })).toBe(false)
    expect(await proofs.accept('form', { challenge: `${challenge}x`, answer: solve(`${challenge}x`) })).toBe(false)
    const answer = solve(challenge)
    later(1_801)
    expect(await proofs.accept('form', { challenge, answer })).toBe(false)
  })
})
