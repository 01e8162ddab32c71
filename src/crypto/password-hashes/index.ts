import { readArgon2 } from './argon2.ts'
import { readBcrypt } from './bcrypt.ts'
import type { PasswordHash, ReadHash, Unusable } from './password-hash.ts'
import { readPbkdf2 } from './pbkdf2.ts'
import { readScrypt } from './scrypt.ts'
import { readShaCrypt } from './sha-crypt.ts'

export type { PasswordHash, Unusable } from './password-hash.ts'

const readers: readonly ReadHash[] = [readArgon2, readBcrypt, readScrypt, readPbkdf2, readShaCrypt]

const longest = 512 // characters, more than any of them has

/**
 * Reads a password hash of any kind that Postern can verify. Each kind has bounds on what a hash may ask of this server,
 * because a sign-in has to do the work. See docs/passwords.md.
 */
export function read(text: string): PasswordHash | Unusable {
  if (text.length > longest) return { problem: `must have at most ${longest} characters` }
  if (/[\p{Cc}\p{Cs}]/u.test(text)) return { problem: 'must not have control characters' }
  for (const reader of readers) {
    const found = reader(text)
    if (found) return found
  }
  return { problem: 'must be a hash by argon2, bcrypt, scrypt, PBKDF2 or SHA-crypt in one of its usual formats' }
}
