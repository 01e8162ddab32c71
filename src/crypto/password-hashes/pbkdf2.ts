import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { bounded, decoded, type ReadHash, type SaltAndHash, type Unusable } from './password-hash.ts'

const most = 3_000_000 // iterations: about a second. Django 6 uses 1,200,000

/** The formats, each with the way it writes a salt and a hash. */
const formats: { pattern: RegExp; parts: (salt: string, hash: string) => SaltAndHash | Unusable }[] = [
  // PHC string format: $pbkdf2-sha256$i=29000,l=32$salt$hash
  { pattern: /^\$pbkdf2-(sha1|sha256|sha512)\$i=(\d{1,9})(?:,l=\d{1,3})?\$([\w+/]*)\$([\w+/]+)$/, parts: decoded },
  // passlib: $pbkdf2-sha256$29000$salt$hash, and $pbkdf2$ for SHA-1
  { pattern: /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(\d{1,9})\$([\w./]*)\$([\w./]+)$/, parts: decoded },
  // Django: pbkdf2_sha256$260000$salt as text$hash
  {
    pattern: /^pbkdf2_(sha1|sha256|sha512)\$(\d{1,9})\$([^$]*)\$([\w+/]+={0,2})$/,
    parts: (salt, hash) => bounded({ salt: Buffer.from(salt), hash: Buffer.from(hash, 'base64') }),
  },
]

/** Reads a PBKDF2 hash with SHA-1, SHA-256 or SHA-512. */
export const readPbkdf2: ReadHash = (text) => {
  for (const { pattern, parts } of formats) {
    const found = pattern.exec(text)
    if (!found) continue
    const [, digest = 'sha1', iterations, salt = '', hash = ''] = found
    const count = Number(iterations)
    if (count < 1 || count > most) return { problem: `must have 1 to ${most} iterations` }
    const read = parts(salt, hash)
    if ('problem' in read) return read
    return {
      kind: 'pbkdf2',
      matches: (password) =>
        new Promise((resolve, reject) =>
          pbkdf2(password, read.salt, count, read.hash.length, digest, (error, derived) =>
            error ? reject(error) : resolve(timingSafeEqual(derived, read.hash)),
          ),
        ),
    }
  }
  return undefined
}
