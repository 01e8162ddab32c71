import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDecoys } from '../../src/authentication/decoys.ts'
import { createSignIn } from '../../src/authentication/sign-in.ts'
import { decoyHash, type Passwords } from '../../src/crypto/passwords.ts'
import { secret } from '../../src/secret.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

const bcrypt = '$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a' // of U*U*U
const sha256 = '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'
const strangers = Array.from({ length: 200 }, (_, number) => `stranger-${number}@example.com`)
const key = secret(randomBytes(32))

describe('an address without an account', () => {
  test('is verified against the hash of nobody while there are no accounts', async () => {
    const find = createDecoys({ db: postern.server.postern.database.db, key })
    expect(await find('nobody@example.com')).toBe(decoyHash)
  })

  test('behaves like one of the accounts, always the same, and each kind of hash is as frequent as among them', async () => {
    const accounts = Array.from({ length: 400 }, (_, number) => ({
      id: `user-${number}`,
      email: `person-${number}@example.com`,
      password_hash: number % 4 === 0 ? bcrypt : sha256,
    }))
    await operate(postern, 'account import', { accounts })
    const find = createDecoys({ db: postern.server.postern.database.db, key })
    const decoys = await Promise.all(strangers.map(find))
    expect(await Promise.all(strangers.map(find))).toEqual(decoys)
    const share = decoys.filter((hash) => hash === bcrypt).length / decoys.length
    expect(share).toBeGreaterThan(0.1) // a quarter is expected
    expect(share).toBeLessThan(0.45)
    const others = await Promise.all(
      strangers.map(createDecoys({ db: postern.server.postern.database.db, key: secret(randomBytes(32)) })),
    )
    expect(others).not.toEqual(decoys)
  })

  test('is never signed in, even with the password of that account, and costs as many statements as an account', async () => {
    await postern.database.query('update password_credentials set hash = $1', [bcrypt])
    const { database, passwords, keyring } = postern.server.postern
    const verified: string[] = []
    const observed: Passwords = {
      ...passwords,
      verify(hash, password, options) {
        verified.push(hash)
        return passwords.verify(hash, password, options)
      },
    }
    const signIn = createSignIn({ db: database.db, passwords: observed, throttleKey: keyring.throttleKey })
    const attempt = async (email: string, password: string) => {
      postern.statements.splice(0)
      const outcome = await signIn({ email, password, address: '192.0.2.1', requestId: 'r', knownBrowser: undefined })
      return { outcome, statements: postern.statements.length }
    }
    const unknown = await attempt('stranger@example.com', 'U*U*U')
    const known = await attempt('person-1@example.com', 'wrong')
    expect(unknown.outcome).toEqual({ error: 'wrong-credentials' })
    expect(known).toEqual(unknown)
    expect(verified).toEqual([bcrypt, bcrypt])
    const [left] = await postern.database.query('select count(*)::int as n from password_credentials where hash = $1', [
      bcrypt,
    ])
    expect(left).toEqual({ n: 400 })
  })
})
