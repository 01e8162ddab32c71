import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { preparedPassword } from '../crypto/passwords.ts'

/** The file with the common and breached passwords. `scripts/common-passwords.ts` builds it. */
export const filterFile = new URL('./common-passwords.bin', import.meta.url)

/** A set of passwords that answers yes for each of its members, and very rarely for another password. */
export type Filter = { size: number; has(password: string): boolean }

// The file has the first 32 bits of each hash, in order. The first byte of a hash chooses one of 256 parts, so only the
// other three are written. A table with the end of each part precedes them.
const parts = 256
const tableBytes = parts * 4
const entryBytes = 3

/** Returns the form in which passwords are compared with the list: as they are hashed, and in lower case. */
export function commonForm(password: string): string {
  return preparedPassword(password).toLowerCase()
}

/** Writes passwords, each in its common form, as the bytes of a filter. */
export function encode(passwords: readonly string[]): Buffer {
  const hashes = [...new Set(passwords.map(firstBits))].sort((a, b) => a - b)
  const bytes = Buffer.alloc(tableBytes + hashes.length * entryBytes)
  const ends = Array.from({ length: parts }, (_, part) => hashes.filter((bits) => bits >>> 24 <= part).length)
  for (const [part, end] of ends.entries()) bytes.writeUInt32BE(end, part * 4)
  for (const [index, bits] of hashes.entries()) bytes.writeUIntBE(bits & 0xffffff, tableBytes + index * entryBytes, 3)
  return bytes
}

/** Creates a filter from its bytes. */
export function createFilter(bytes: Buffer): Filter {
  const size = (bytes.length - tableBytes) / entryBytes
  if (bytes.readUInt32BE((parts - 1) * 4) !== size) throw new Error('The list of common passwords is damaged.')
  const endOf = (part: number) => (part < 0 ? 0 : bytes.readUInt32BE(part * 4))
  return {
    size,
    has(password) {
      const bits = firstBits(commonForm(password))
      let [low, high] = [endOf((bits >>> 24) - 1), endOf(bits >>> 24)]
      while (low < high) {
        const middle = (low + high) >>> 1
        const entry = bytes.readUIntBE(tableBytes + middle * entryBytes, entryBytes)
        if (entry === (bits & 0xffffff)) return true
        if (entry < (bits & 0xffffff)) low = middle + 1
        else high = middle
      }
      return false
    },
  }
}

const firstBits = (password: string) => hash('sha256', password, 'buffer').readUInt32BE()

let loading: Promise<Filter> | undefined

/** Returns the filter that comes with Postern. It is read when it is first needed, and then kept. */
export function loadCommonPasswords(): Promise<Filter> {
  loading ??= readFile(filterFile).then(createFilter)
  return loading
}
