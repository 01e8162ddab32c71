const keyBytes = 32 // AES-256

/** What is wrong with the first key that is of no use, by its position, from 1, and never by its text. */
export type KeyMistake = { position: number; problem: string }

/**
 * Looks for a mistake in a list of key-encryption keys. Node.js skips what is not base64, and makes do with what there
 * is of a key that was cut short: here a key is exactly 32 bytes, in base64 as RFC 4648 §4 or §5 has it.
 */
export function findKeyMistake(keys: readonly string[]): KeyMistake | undefined {
  const seen = new Set<string>()
  for (const [index, text] of keys.entries()) {
    const position = index + 1
    const bytes = Buffer.from(text, 'base64url')
    const spelling = bytes.toString('base64url')
    if (bytes.length !== keyBytes || spelling !== text.replaceAll('+', '-').replaceAll('/', '_').replace(/=$/, '')) {
      return { position, problem: `must be ${keyBytes} bytes in base64: 44 characters, the last of which is =` }
    }
    if (bytes.every((byte) => byte === 0)) return { position, problem: 'must not be all zeros' }
    if (seen.has(spelling)) return { position, problem: 'is there twice: leave one of them out' }
    seen.add(spelling)
  }
  return undefined
}

/** What to do about it: another key opens nothing that this one closed. */
export const keyRemedy =
  'If something is encrypted with it, restore it from where you keep it. A new one is made with: openssl rand -base64 32'
