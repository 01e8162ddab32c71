import { hash, timingSafeEqual } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { ReadHash } from './password-hash.ts'

// "Unix crypt using SHA-256 and SHA-512", version 0.6, by Ulrich Drepper. Node has no function for it, and no package for
// it is maintained.

const rounds = { usual: 5_000, least: 1_000, most: 1_000_000 } // passlib uses 656,000
const mostPasswordBytes = 512 // as in libxcrypt: the work grows with the length of the password
const roundsInTurn = 500 // about a millisecond, after which others have their turn

const variants = {
  5: { algorithm: 'sha256', last: [31, 30], third: 10, firstOf: [0, 2, 1] },
  6: { algorithm: 'sha512', last: [63], third: 21, firstOf: [0, 1, 2] },
} as const

type Variant = (typeof variants)[keyof typeof variants]

/** Reads a SHA-crypt hash: `$5$` with SHA-256, `$6$` with SHA-512. */
export const readShaCrypt: ReadHash = (text) => {
  const format = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$:\n]{0,16})\$([./0-9A-Za-z]+)$/
  const [, version, given, salt = '', expected = ''] = format.exec(text) ?? []
  if (version === undefined) return undefined
  const count = given === undefined ? rounds.usual : Number(given)
  if (expected.length !== (version === '5' ? 43 : 86)) return { problem: 'is not complete' }
  if (count < rounds.least || count > rounds.most)
    return { problem: `must have ${rounds.least} to ${rounds.most} rounds` }
  const variant = variants[version === '5' ? 5 : 6]
  return {
    kind: 'sha-crypt',
    async matches(password) {
      const key = Buffer.from(password.split('\0', 1).join()) // ends at NUL, as in crypt(3)
      if (key.length > mostPasswordBytes) return false
      const found = encode(await digest(variant, { key, salt: Buffer.from(salt), count }), variant)
      return timingSafeEqual(Buffer.from(found), Buffer.from(expected))
    },
  }
}

/** Computes the digest. The names and the order are those of the specification. */
async function digest(
  { algorithm }: Variant,
  { key, salt, count }: { key: Buffer; salt: Buffer; count: number },
): Promise<Buffer> {
  const of = (...parts: Buffer[]) => hash(algorithm, Buffer.concat(parts), 'buffer')
  const b = of(key, salt, key)
  const bits = key.length === 0 ? [] : [...key.length.toString(2)].reverse()
  let a = of(key, salt, filled(b, key.length), ...bits.map((bit) => (bit === '1' ? b : key)))
  const p = filled(of(...Array<Buffer>(key.length).fill(key)), key.length)
  const s = filled(of(...Array<Buffer>(16 + (a[0] ?? 0)).fill(salt)), salt.length)
  for (let round = 0; round < count; round++) {
    const isOdd = round % 2 === 1
    a = of(isOdd ? p : a, ...(round % 3 ? [s] : []), ...(round % 7 ? [p] : []), isOdd ? a : p)
    if (round % roundsInTurn === 0) await setImmediate()
  }
  return a
}

/** Repeats bytes until there are as many as needed. */
function filled(bytes: Buffer, length: number): Buffer {
  return Buffer.alloc(length, length > 0 ? bytes : 0)
}

const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Writes a digest in the order of bytes and the base64 of crypt(3). */
function encode(bytes: Buffer, { third, firstOf, last }: Variant): string {
  const at = (index: number) => bytes[index] ?? 0
  let text = ''
  const write = (value: number, length: number) => {
    for (let digit = 0; digit < length; digit++) text += alphabet[(value >> (6 * digit)) & 63]
  }
  for (let index = 0; index < third; index++) {
    const first = firstOf[index % 3] ?? 0
    const [high = 0, middle = 0, low = 0] = [0, 1, 2].map((place) => at(index + ((first + place) % 3) * third))
    write((high << 16) | (middle << 8) | low, 4)
  }
  write(
    last.reduce((value, index) => (value << 8) | at(index), 0),
    last.length + 1,
  )
  return text
}
