import { createHash } from 'node:crypto'

/**
 * What ID tokens are signed with for clients of tests that say nothing of it: RS256, as OpenID Connect Dynamic Client
 * Registration 1.0 §2 has it, unless the tests are run with another algorithm (`npm run test:algorithms`).
 */
export const idTokenAlg = process.env['POSTERN_TEST_ID_TOKEN_ALG'] ?? 'RS256'

/** What such a client registers. */
export const idTokenMetadata: { id_token_signed_response_alg?: string } =
  idTokenAlg === 'RS256' ? {} : { id_token_signed_response_alg: idTokenAlg }

/** What a server has to be told to sign with it. */
export const idTokenSettings: Record<string, string> = idTokenAlg === 'ML-DSA-65' ? { ALLOW_ML_DSA: 'true' } : {}

/** The left half of a hash, as in `at_hash` and `c_hash` of an ID token that is signed with an algorithm. */
export function halfHash(value: unknown, alg = idTokenAlg): string {
  const hash = hashOf(alg).update(String(value)).digest()
  return hash.subarray(0, hash.length / 2).toString('base64url')
}

// OpenID Connect Core §3.1.3.6 and, for what that leaves open, OpenID Connect Token Hash Algorithms 1.0.
function hashOf(alg: string) {
  if (alg.startsWith('ML-DSA')) return createHash('shake256', { outputLength: 64 })
  return createHash(alg === 'EdDSA' ? 'sha512' : `sha${alg.slice(-3)}`)
}
