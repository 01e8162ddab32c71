import { randomInt } from 'node:crypto'
import { keyedHash } from '../crypto/digests.ts'
import type { Secret } from '../secret.ts'

const digits = 6

export type MailCodes = {
  /** Makes a random code, with the function that hashes it for its confirmation. */
  make(): { code: string; hashOf: (idHash: Buffer) => Buffer }
  /** Returns the function that hashes a code as a person typed it. */
  typed(code: string): (idHash: Buffer) => Buffer
}

/**
 * Creates the codes of six digits that mails contain. A code is too short for a plain hash, so its hash needs a key, and
 * the confirmation that it belongs to.
 */
export function createMailCodes(confirmationKey: Secret<Buffer>): MailCodes {
  const hasher = (code: string) => (idHash: Buffer) => keyedHash(confirmationKey, `${idHash.toString('hex')}\0${code}`)
  return {
    make() {
      const code = String(randomInt(10 ** digits)).padStart(digits, '0')
      return { code, hashOf: hasher(code) }
    },
    // A phone pastes spaces along, and a Japanese keyboard types wide digits.
    typed: (code) => hasher(code.normalize('NFKC').replace(/\D/g, '')),
  }
}
