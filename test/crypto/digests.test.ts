import { createHash, createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { deriveKey, keyedHash, randomId, sha256 } from '../../src/crypto/digests.ts'
import { secret } from '../../src/secret.ts'

describe('the digest that the database knows a value by', () => {
  test('is its SHA-256 (FIPS 180-4)', () => {
    expect(sha256('abc').toString('hex')).toBe(createHash('sha256').update('abc').digest('hex'))
  })

  test('is keyed for a short value (RFC 2104)', () => {
    const [one, two] = [secret(Buffer.alloc(32, 1)), secret(Buffer.alloc(32, 2))]
    expect(keyedHash(one, 'ABCD').equals(createHmac('sha256', one.reveal()).update('ABCD').digest())).toBe(true)
    expect(keyedHash(one, 'ABCD').equals(keyedHash(two, 'ABCD'))).toBe(false)
  })
})

describe('RFC 5869: derived keys', () => {
  const root = secret(Buffer.alloc(32, 7))
  const derived = (purpose: string) => deriveKey(root, purpose).reveal()

  test('are the same for the same purpose and different for another', () => {
    expect(derived('a').equals(derived('a'))).toBe(true)
    expect(derived('a').equals(derived('b'))).toBe(false)
    expect(derived('a')).toHaveLength(32)
  })
})

describe('random identifiers', () => {
  test('have 256 bits unless asked for fewer, and never repeat', () => {
    expect(Buffer.from(randomId(), 'base64url')).toHaveLength(32)
    expect(Buffer.from(randomId(16), 'base64url')).toHaveLength(16)
    expect(new Set(Array.from({ length: 1_000 }, () => randomId(16))).size).toBe(1_000)
  })

  test('never begin with a dash, which a command line would take for an option', () => {
    expect(Array.from({ length: 2_000 }, () => randomId(12)).filter((id) => id.startsWith('-'))).toEqual([])
  })
})
