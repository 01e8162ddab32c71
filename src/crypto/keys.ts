import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { randomId } from './digests.ts'

/** Algorithms every Postern signs with; RS256 is required by OpenID Connect Core §15.1. */
export const signingAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const

export type SigningAlgorithm = (typeof signingAlgorithms)[number]
export type PrivateJwk = JWK & { kid: string; alg: SigningAlgorithm; use: 'sig' }

/**
 * A new private signing key as a JWK (RFC 7517).
 *
 * Keys of one algorithm always carry the same members: the engine prefers a key with more of them, so an
 * odd one out would sign before it is published everywhere.
 */
export async function generate(alg: SigningAlgorithm): Promise<PrivateJwk> {
  const { privateKey } = await generateKeyPair(alg, {
    extractable: true,
    ...(alg === 'EdDSA' && { crv: 'Ed25519' }),
  })
  const jwk = await exportJWK(privateKey)
  return { ...jwk, kid: randomId(16), alg, use: 'sig' }
}
