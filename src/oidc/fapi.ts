import { type Configuration, errors } from 'oidc-provider'
import { fapiAlgorithms } from '../registration/fapi.ts'

type Client = { [extra: string]: unknown }
type Claims = Record<string, unknown>

const longestSeconds = 3_600 // FAPI 2.0 Message Signing §5.3.1

/** Returns whether a client must conform to the FAPI 2.0 Security Profile. */
export const isFapi = (client: Client | undefined): boolean => client?.['fapi_profile'] === '2.0'

/** The engine's feature, which enforces the profile for clients that must conform to it. */
export const fapi = {
  enabled: true,
  profile: (_ctx, client) => (isFapi(client) ? '2.0' : undefined),
} satisfies NonNullable<Configuration['features']>['fapi']

/**
 * Rejects a FAPI client's request object that is signed by a weak algorithm or is valid for too long (FAPI 2.0 Message
 * Signing §5.3.1). A pushed one was checked when it was pushed.
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
  // The engine rejects an expired one, so this also bounds how far in the past `nbf` may be.
  if (exp <= nbf || exp - nbf > longestSeconds) {
    throw new errors.InvalidRequestObject('the request object must expire within 60 minutes after its nbf')
  }
}
