import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { randomId } from './digests.ts'

/** Algorithms every Postern signs with; RS256 is required by OpenID Connect Core §15.1. */
export const signingAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const

/** ML-DSA (FIPS 204) as JOSE spells it, for clients that ask for it where it is allowed. */
export const postQuantumAlgorithms = ['ML-DSA-65'] as const

export type SigningAlgorithm = (typeof signingAlgorithms)[number] | (typeof postQuantumAlgorithms)[number]
export type PrivateJwk = JWK & { kid: string; alg: SigningAlgorithm; use: 'sig' }

/** Whether a key for this purpose signs tokens. */
export function isSigningAlgorithm(purpose: string): purpose is SigningAlgorithm {
  return [...signingAlgorithms, ...postQuantumAlgorithms].some((alg) => alg === purpose)
}

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
  }).catch((cause) => {
    throw new Error(`This Node.js makes no ${alg} keys. For ML-DSA-65 it has to be 24.7 or newer.`, { cause })
  })
  const jwk = await exportJWK(privateKey)
  return { ...jwk, kid: randomId(16), alg, use: 'sig' }
}

/** The public part of a key: RFC 7518 §6 for RSA, EC and OKP keys; `priv` is that of an AKP key. */
export function publicPart({ d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, priv: _priv, ...rest }: JWK): JWK {
  return rest
}
