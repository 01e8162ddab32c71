import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createEnvelope, keyIdOf } from '../../src/crypto/envelope.ts'
import { secret } from '../../src/secret.ts'

const newKey = () => secret(randomBytes(32).toString('base64'))
const plaintext = 'the secret of a client, ünïcode included'

/** Returns the same text with another character at one position. */
function changedAt(text: string, index: number): string {
  const other = text[index] === 'A' ? 'B' : 'A'
  return text.slice(0, index) + other + text.slice(index + 1)
}

describe('NIST SP 800-38D: a sealed value', () => {
  const key = newKey()
  const { seal, open } = createEnvelope([key])

  test('opens to the original value, and shows nothing of it', () => {
    const sealed = seal(plaintext, 'clients.secret:a')
    expect(open(sealed, 'clients.secret:a')).toBe(plaintext)
    expect(sealed).not.toContain(plaintext)
    expect(Buffer.from(sealed.split('.')[3] ?? '', 'base64url').toString()).not.toContain('secret')
    expect(open(seal('', 'x'), 'x')).toBe('')
  })

  test('differs each time, so that equal secrets are not recognizable', () => {
    expect(seal(plaintext, 'x')).not.toBe(seal(plaintext, 'x'))
  })

  test('does not open in another row or column', () => {
    const sealed = seal(plaintext, 'clients.secret:a')
    for (const elsewhere of ['clients.secret:b', 'shared_secrets.value:a', '', 'clients.secret:a ']) {
      expect(() => open(sealed, elsewhere)).toThrow()
    }
  })

  test('does not open when any part of it was changed, cut off or extended', () => {
    const sealed = seal(plaintext, 'x')
    const lastPart = sealed.lastIndexOf('.') + 1
    for (let index = 0; index < sealed.length - 1; index++) {
      if (sealed[index] === '.') continue
      expect(() => open(changedAt(sealed, index), 'x'), `changed at ${index}`).toThrow()
    }
    for (let length = 0; length < sealed.length; length += 7) expect(() => open(sealed.slice(0, length), 'x')).toThrow()
    expect(() => open(`${sealed}AAAA`, 'x')).toThrow()
    expect(() => open(sealed.slice(0, lastPart), 'x')).toThrow()
    for (const nonsense of ['', '.', '...', 'plain text', `v2${sealed.slice(2)}`])
      expect(() => open(nonsense, 'x')).toThrow()
  })

  test('does not open with a shortened authentication tag', () => {
    const [version, keyId, iv, body = ''] = seal('abc', 'x').split('.')
    for (const bytes of [4, 8, 12, 15]) {
      const short = Buffer.from(body, 'base64url')
        .subarray(0, 3 + bytes)
        .toString('base64url')
      expect(() => open([version, keyId, iv, short].join('.'), 'x')).toThrow()
    }
    expect(() => open([version, keyId, iv, Buffer.alloc(4).toString('base64url')].join('.'), 'x')).toThrow()
  })
})

describe('a ring of encryption keys', () => {
  const [older, newer] = [newKey(), newKey()]

  test('opens values sealed with any of them, and seals with the first', () => {
    const before = createEnvelope([older]).seal(plaintext, 'x')
    const rotated = createEnvelope([newer, older])
    expect(rotated.open(before, 'x')).toBe(plaintext)
    const after = rotated.seal(plaintext, 'x')
    expect(createEnvelope([newer]).open(after, 'x')).toBe(plaintext)
    expect(() => createEnvelope([older]).open(after, 'x')).toThrow()
  })

  test('names the value and the key that it lacks', () => {
    const sealed = createEnvelope([older]).seal(plaintext, 'clients.secret:a')
    const keyId = sealed.split('.')[1]
    expect(() => createEnvelope([newer]).open(sealed, 'clients.secret:a')).toThrow(
      `clients.secret:a is sealed with key ${keyId}, which is not in ENCRYPTION_KEYS.`,
    )
  })

  test('knows which key seals, which keys open, and which key a value is sealed with, without opening it', () => {
    const { seal, sealingKeyId, keyIds } = createEnvelope([newer, older])
    expect(keyIds).toEqual([sealingKeyId, createEnvelope([older]).sealingKeyId])
    expect(keyIdOf(seal(plaintext, 'x'))).toBe(sealingKeyId)
    expect(keyIdOf(createEnvelope([older]).seal('', 'x'))).toBe(keyIds[1])
    for (const nonsense of ['', 'plain text', `v2.${sealingKeyId}.x.y`, `v1.${sealingKeyId}`, 'v1..x.y'])
      expect(keyIdOf(nonsense)).toBeUndefined()
  })

  test('names a value that was changed, and the key it was sealed with', () => {
    const { seal, open, sealingKeyId } = createEnvelope([newer])
    expect(() => open(seal(plaintext, 'clients.secret:a'), 'clients.secret:b')).toThrow(
      `clients.secret:b is damaged: it differs from the value that was sealed with key ${sealingKeyId}.`,
    )
  })

  test('has each key once', () => {
    expect(() => createEnvelope([newer, newer])).toThrow(/^Two encryption keys have the id [0-9a-f]{8}/)
  })

  test('needs at least one key', () => {
    expect(() => createEnvelope([])).toThrow('At least one encryption key is required.')
  })

  test('never reveals a key in an error', () => {
    const { open } = createEnvelope([older])
    try {
      open(createEnvelope([newer]).seal('x', 'y'), 'y')
    } catch (error) {
      expect(String((error as Error).stack)).not.toContain(older.reveal())
      expect(String((error as Error).stack)).not.toContain(newer.reveal())
    }
    expect.assertions(2)
  })
})
