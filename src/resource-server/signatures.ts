import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { AuthorizationServer } from './authorization-server.ts'

/** The signatures of clients accepted here. They are asymmetric: with a shared secret, whoever verifies could also sign. */
export const algorithms = [
  ...['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'],
  ...['RS256', 'RS384', 'RS512', 'Ed25519', 'EdDSA'],
]

/** And those of authorization servers, which may use what not every runtime can verify yet (RFC 9964). */
const serverAlgorithms = [...algorithms, 'ML-DSA-65']

/**
 * What a JWT says, or `undefined` if it is not one that the authorization server signed and that is as the options
 * have it. Rejects when the keys cannot be had, since that says nothing about the JWT.
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

/** Whether there is no key because of what the JWT asks for, rather than because there are none to choose from. */
function isAboutHeader(error: unknown): boolean {
  return error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys
}
