import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { type Secret, secret } from '../secret.ts'

/** SHA-256 of a bearer value: what the database knows it by. Enough because every bearer value has 256 bits. */
export function sha256(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}

/** HMAC-SHA-256, for values too short to be hashed alone: user codes, email addresses, client addresses. */
export function keyedHash(key: Secret<Buffer>, value: string): Buffer {
  return createHmac('sha256', key.reveal()).update(value).digest()
}

/** A key for one purpose, derived from another (RFC 5869). */
export function deriveKey(key: Secret<Buffer>, purpose: string): Secret<Buffer> {
  return secret(Buffer.from(hkdfSync('sha256', key.reveal(), Buffer.alloc(0), purpose, 32)))
}

/** A random identifier in base64url; 32 bytes by default, which makes guessing it hopeless. */
export function randomId(bytes = 32): string {
  return randomBytes(bytes).toString('base64url')
}
