import argon2 from 'argon2'
import { decoded, type ReadHash } from './password-hash.ts'

const mostKib = 262_144 // 256 MiB, the "moderate" preset of libsodium
const mostWorkKib = 1_048_576 // memory times passes: about a second
const mostLanes = 16

/** Reads the PHC string of argon2i, argon2d or argon2id, in version 1.0 or 1.3. Django writes `argon2` before it. */
export const readArgon2: ReadHash = (text) => {
  const format =
    /^(?:argon2)?(\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?([mtp]=\d{1,9}(?:,[mtp]=\d{1,9}){2})\$([\w+/]+)\$([\w+/]+))$/
  const [, phc, parameters = '', salt = '', hash = ''] = format.exec(text) ?? []
  if (phc === undefined) return undefined
  const {
    m = 0,
    t = 0,
    p = 0,
  } = Object.fromEntries(parameters.split(',').map((parameter) => [parameter.slice(0, 1), Number(parameter.slice(2))]))
  if (p < 1 || p > mostLanes) return { problem: `must have a p of 1 to ${mostLanes}` }
  if (m < 8 * p || m > mostKib) return { problem: `must have an m of ${8 * p} to ${mostKib}` }
  if (t < 1 || t * m > mostWorkKib)
    return { problem: `must have a t of at least 1, and m times t of at most ${mostWorkKib}` }
  const parts = decoded(salt, hash)
  if ('problem' in parts) return parts
  if (parts.salt.length < 8) return { problem: 'must have a salt of at least 8 bytes' }
  return { kind: 'argon2', matches: (password) => argon2.verify(phc, password) }
}
