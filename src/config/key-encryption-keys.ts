const keyBytes = 32 // AES-256

/** The problem with the first invalid key. The key is named by its position, counted from 1, and never quoted. */
export type KeyMistake = { position: number; problem: string }

/**
 * Looks for a mistake in a list of key-encryption keys. A key is exactly 32 bytes in the base64 of RFC 4648 §4 or §5.
 * Node.js would skip characters that are not base64, and accept a key that was cut short.
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

/** The advice that follows such a problem: no other key decrypts what this key encrypted. */
export const keyRemedy =
  'If something is encrypted with it, restore it from where you keep it. A new one is made with: openssl rand -base64 32'
