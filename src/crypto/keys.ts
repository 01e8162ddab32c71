import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { randomId } from './digests.ts'

/** The algorithms that every Postern signs with; OpenID Connect Core §15.1 requires RS256. */
export const signingAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const

/** ML-DSA (FIPS 204) in the spelling of JOSE, for clients that ask for it where it is allowed. */
export const postQuantumAlgorithms = ['ML-DSA-65'] as const

export type SigningAlgorithm = (typeof signingAlgorithms)[number] | (typeof postQuantumAlgorithms)[number]
export type PrivateJwk = JWK & { kid: string; alg: SigningAlgorithm; use: 'sig' }

/** Returns whether a key for this purpose signs tokens. */
export function isSigningAlgorithm(purpose: string): purpose is SigningAlgorithm {
  return [...signingAlgorithms, ...postQuantumAlgorithms].some((alg) => alg === purpose)
}

/**
 * Generates a private signing key as a JWK (RFC 7517).
 *
 * All keys of one algorithm have the same members. The engine prefers a key with more of them, so a key that differs
 * would sign before it is published everywhere.
 */
export async function generate(alg: SigningAlgorithm): Promise<PrivateJwk> {
  const { privateKey } = await generateKeyPair(alg, {
    extractable: true,
    ...(alg === 'EdDSA' && { crv: 'Ed25519' }),
  }).catch((cause) => {
    throw new Error(`This Node.js cannot generate ${alg} keys. ML-DSA-65 requires Node.js 24.7 or newer.`, { cause })
  })
  const jwk = await exportJWK(privateKey)
  return { ...jwk, kid: randomId(16), alg, use: 'sig' }
}

/**
 * Returns the public part of a key: RFC 7518 §6 lists the private members of RSA, EC and OKP keys; `priv` is that of an
 * AKP key.
 */
export function publicPart({ d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, priv: _priv, ...rest }: JWK): JWK {
  return rest
}
