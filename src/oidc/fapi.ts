import { type Configuration, errors } from 'oidc-provider'
import { fapiAlgorithms } from '../registration/fapi.ts'

type Client = { [extra: string]: unknown }
type Claims = Record<string, unknown>

const longestSeconds = 3_600 // FAPI 2.0 Message Signing §5.3.1

/** Whether the FAPI 2.0 Security Profile is what a client is held to. */
export const isFapi = (client: Client | undefined): boolean => client?.['fapi_profile'] === '2.0'

/** The engine's switch: what it refuses by itself when a client is held to the profile. */
export const fapi = {
  enabled: true,
  profile: (_ctx, client) => (isFapi(client) ? '2.0' : undefined),
} satisfies NonNullable<Configuration['features']>['fapi']

/**
 * Refuses a request object of a FAPI client that is signed by a weak algorithm, or is good for long
 * (FAPI 2.0 Message Signing §5.3.1). What was pushed was looked at when it was.
 */
export async function assertRequestObject(
  { oidc: { entities } }: { oidc: { entities: object } },
  { exp, nbf }: Claims,
  { alg }: { alg?: unknown },
  client: Client,
): Promise<void> {
  if (!isFapi(client) || 'PushedAuthorizationRequest' in entities) return
  if (!fapiAlgorithms.includes(String(alg))) {
    throw new errors.InvalidRequestObject('the request object must be signed with PS256, ES256 or EdDSA')
  }
  if (typeof exp !== 'number' || typeof nbf !== 'number') {
    throw new errors.InvalidRequestObject('the request object must have exp and nbf')
  }
  // It has not expired, so with this nbf is no further in the past than it may be.
  if (exp <= nbf || exp - nbf > longestSeconds) {
    throw new errors.InvalidRequestObject('the request object must expire within 60 minutes after its nbf')
  }
}
