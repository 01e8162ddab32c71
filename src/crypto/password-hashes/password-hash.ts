/** A password hash that can be verified. */
export type PasswordHash = {
  /** The algorithm, such as `bcrypt`. */
  kind: string
  matches(password: string): Promise<boolean>
}

/** Why a password hash cannot be used, as the rest of a sentence about it. */
export type Unusable = { problem: string }

/** Reads a hash of one kind. It returns `undefined` if the text is of another kind. */
export type ReadHash = (text: string) => PasswordHash | Unusable | undefined

/** The bytes of a salt and of a hash. */
export type SaltAndHash = { salt: Buffer; hash: Buffer }

// A shorter hash has other passwords that match it, and no algorithm makes a longer one.
const hashBytes = { least: 16, most: 64 }
const mostSaltBytes = 64

/** Decodes a salt and a hash in base64, with or without padding. passlib writes a dot for a plus sign. */
export function decoded(salt: string, hash: string): SaltAndHash | Unusable {
  return bounded({ salt: fromBase64(salt), hash: fromBase64(hash) })
}

/** Returns a salt and a hash, or why their sizes are not accepted. */
export function bounded(parts: SaltAndHash): SaltAndHash | Unusable {
  const { salt, hash } = parts
  if (hash.length < hashBytes.least || hash.length > hashBytes.most)
    return { problem: `must have a hash of ${hashBytes.least} to ${hashBytes.most} bytes` }
  if (salt.length > mostSaltBytes) return { problem: `must have a salt of at most ${mostSaltBytes} bytes` }
  return parts
}

const fromBase64 = (text: string) => Buffer.from(text.replaceAll('.', '+'), 'base64')
