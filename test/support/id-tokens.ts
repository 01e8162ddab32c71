import { createHash } from 'node:crypto'

/**
 * The algorithm that signs ID tokens for test clients that name none: RS256, as in OpenID Connect Dynamic Client
 * Registration 1.0 §2, unless the tests run with another algorithm (`npm run test:drills`).
 */
export const idTokenAlg = process.env['POSTERN_TEST_ID_TOKEN_ALG'] ?? 'RS256'

/** The metadata that such a client registers. */
export const idTokenMetadata: { id_token_signed_response_alg?: string } =
  idTokenAlg === 'RS256' ? {} : { id_token_signed_response_alg: idTokenAlg }

/** The settings that a server needs to sign with it. */
export const idTokenSettings: Record<string, string> = idTokenAlg === 'ML-DSA-65' ? { ALLOW_ML_DSA: 'true' } : {}

/** Returns the left half of a hash, as in `at_hash` and `c_hash` of an ID token signed with an algorithm. */
export function halfHash(value: unknown, alg = idTokenAlg): string {
  const hash = hashOf(alg).update(String(value)).digest()
  return hash.subarray(0, hash.length / 2).toString('base64url')
}

// OpenID Connect Core §3.1.3.6 and, for what that leaves open, OpenID Connect Token Hash Algorithms 1.0.
function hashOf(alg: string) {
  if (alg.startsWith('ML-DSA')) return createHash('shake256', { outputLength: 64 })
  return createHash(alg === 'EdDSA' ? 'sha512' : `sha${alg.slice(-3)}`)
}
