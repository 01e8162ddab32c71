import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { AuthorizationServer } from './authorization-server.ts'

/**
 * The accepted algorithms for signatures of clients. All are asymmetric: with a shared secret, a verifier could sign as
 * well.
 */
export const algorithms = [
  ...['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'],
  ...['RS256', 'RS384', 'RS512', 'Ed25519', 'EdDSA'],
]

/** Those of authorization servers, which may also use an algorithm that not every runtime can verify yet (RFC 9964). */
const serverAlgorithms = [...algorithms, 'ML-DSA-65']

/**
 * Verifies a JWT of the authorization server and returns its claims, or `undefined` if it is not valid or not as the
 * options demand. Rejects when the keys cannot be fetched, since that says nothing about the JWT.
 */
export async function verify(
  jwt: string,
  { findKey }: Pick<AuthorizationServer, 'findKey'>,
  options: JWTVerifyOptions,
): Promise<JWTPayload | undefined> {
  let outage: { error: unknown } | undefined
  try {
    const { payload } = await jwtVerify(
      jwt,
      (header, token) =>
        findKey(header, token).catch((error: unknown) => {
          if (!isAboutHeader(error)) outage = { error }
          throw error
        }),
      { ...options, algorithms: serverAlgorithms },
    )
    return payload
  } catch {
    if (outage) throw outage.error
    return undefined
  }
}

/**
 * Says whether no key was found because of the header of the JWT, rather than because the keys could not be fetched.
 */
function isAboutHeader(error: unknown): boolean {
  return error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys
}
