import { randomInt } from 'node:crypto'
import { keyedHash } from '../crypto/digests.ts'
import type { Secret } from '../secret.ts'

/** Makes a code of six digits, which a person copies from a mail. */
export function randomCode(): string {
  return String(randomInt(1_000_000)).padStart(6, '0')
}

/** Returns the hash of a code, as it is stored with the confirmation that it belongs to. Blanks between digits are ignored. */
export function codeHashWith(key: Secret<Buffer>, code: string): (idHash: Buffer) => Buffer {
  const digits = code.replace(/[\s-]/g, '')
  return (idHash) => keyedHash(key, `${idHash.toString('hex')}:${digits}`)
}
