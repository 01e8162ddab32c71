import { randomInt } from 'node:crypto'
import { keyedHash } from '../crypto/digests.ts'
import type { Secret } from '../secret.ts'

const count = 10

// Without letters and digits that are easily mistaken for each other. Twelve of them are 58 bits.
const alphabet = '23456789abcdefghjkmnpqrstvwxyz'
const length = 12

/** Creates the recovery codes of an account, as people read and type them. */
export function createRecoveryCodes(): string[] {
  return Array.from({ length: count }, () => {
    const letters = Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join('')
    return letters.replaceAll(/(.{4})(?!$)/g, '$1-')
  })
}

/** Returns the hash that a recovery code of an account is stored under, however it is typed. */
export function recoveryCodeHash(
  key: Secret<Buffer>,
  { accountId, code }: { accountId: string; code: string },
): Buffer {
  const typed = code
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
  return keyedHash(key, ['recovery code', accountId, typed].join('\0'))
}
