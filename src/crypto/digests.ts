import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { type Secret, secret } from '../secret.ts'

/** Hashes a bearer value with SHA-256, for storage. A plain hash is enough because every bearer value has 256 bits. */
export function sha256(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}

/** Computes an HMAC-SHA-256, for values too short for a plain hash: user codes, email addresses, client addresses. */
export function keyedHash(key: Secret<Buffer>, value: string): Buffer {
  return createHmac('sha256', key.reveal()).update(value).digest()
}

/** Derives a key for one purpose from another key (RFC 5869). */
export function deriveKey(key: Secret<Buffer>, purpose: string): Secret<Buffer> {
  return secret(Buffer.from(hkdfSync('sha256', key.reveal(), Buffer.alloc(0), purpose, 32)))
}

/**
 * Makes a random identifier in base64url, of 32 bytes by default, which nobody can guess. It never begins with a dash, which a
 * command line would take for an option.
 */
export function randomId(bytes = 32): string {
  for (;;) {
    const id = randomBytes(bytes).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}
