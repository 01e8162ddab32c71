import { scrypt, timingSafeEqual } from 'node:crypto'
import { decoded, type ReadHash } from './password-hash.ts'

const mostBytes = 134_217_728 // 128 MiB, for N = 2^17 and r = 8, which OWASP recommends
const mostWork = 4 * mostBytes // memory times p: about a second

/** Reads the PHC string of scrypt, as passlib writes it too. */
export const readScrypt: ReadHash = (text) => {
  const format = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,4}),p=(\d{1,4})\$([\w+/.]*)\$([\w+/.]+)$/
  const [, ln, r, p, salt = '', hash = ''] = format.exec(text) ?? []
  if (ln === undefined) return undefined
  const parameters = { N: 2 ** Number(ln), r: Number(r), p: Number(p) }
  const bytes = 128 * parameters.N * parameters.r
  if (parameters.N < 2 || parameters.r < 1 || parameters.p < 1)
    return { problem: 'must have an ln, r and p of at least 1' }
  if (bytes > mostBytes) return { problem: `must not need more than ${mostBytes / 1_048_576} MiB: 128 × 2^ln × r` }
  if (bytes * parameters.p > mostWork) return { problem: `must have 128 × 2^ln × r × p of at most ${mostWork}` }
  const parts = decoded(salt, hash)
  if ('problem' in parts) return parts
  const maxmem = 2 * mostBytes
  return {
    kind: 'scrypt',
    matches: (password) =>
      new Promise((resolve, reject) =>
        scrypt(password, parts.salt, parts.hash.length, { ...parameters, maxmem }, (error, derived) =>
          error ? reject(error) : resolve(timingSafeEqual(derived, parts.hash)),
        ),
      ),
  }
}
