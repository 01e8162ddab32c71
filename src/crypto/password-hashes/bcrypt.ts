import bcrypt from 'bcrypt'
import type { ReadHash } from './password-hash.ts'

const cost = { least: 4, most: 15 } // 15 takes some three seconds

/**
 * Reads a bcrypt hash: `$2a$`, `$2b$` or `$2y$`, which differ only for passwords that no form sends. Django writes
 * `bcrypt$` before it.
 */
export const readBcrypt: ReadHash = (text) => {
  const [, version = '', digits = '', rest = ''] =
    /^(?:bcrypt\$)?\$(2[abxy]?)\$(\d\d)\$([./A-Za-z0-9]{53})$/.exec(text) ?? []
  if (version === '') return undefined
  if (version === '2' || version === '2x') return { problem: 'is of a faulty version of bcrypt' }
  if (Number(digits) < cost.least || Number(digits) > cost.most)
    return { problem: `must have a cost of ${cost.least} to ${cost.most}` }
  return {
    kind: 'bcrypt',
    // As in crypt(3): a password ends at NUL, and only its first 72 bytes count.
    matches: (password) => bcrypt.compare(password.split('\0', 1).join(), `$2b$${digits}$${rest}`),
  }
}
