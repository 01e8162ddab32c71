import type { Metadata } from './metadata.ts'
import type { Refusal } from './refusal.ts'

/** The signing algorithms of the FAPI 2.0 Security Profile, for its clients and for what they receive (§5.4.1). */
export const fapiAlgorithms: readonly string[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519']

const signed = [
  'id_token_signed_response_alg',
  'authorization_signed_response_alg',
  'introspection_signed_response_alg',
  'userinfo_signed_response_alg',
  'token_endpoint_auth_signing_alg',
  'request_object_signing_alg',
]

const isOfProfile = (metadata: Metadata) => metadata['fapi_profile'] === '2.0'

// The default of these is RS256. Leaving out one of the others leaves the algorithm open, or the response unsigned.
const signedByDefault = signed.slice(0, 3)

/** Returns the defaults of a client of the profile. */
export function fapiDefaults(metadata: Metadata): Metadata {
  if (!isOfProfile(metadata)) return {}
  return {
    token_endpoint_auth_method: 'private_key_jwt',
    ...Object.fromEntries(signedByDefault.map((name) => [name, 'PS256'])),
  }
}

/** Returns the members that the profile fixes (§5.3.2.1, §5.3.2.2): requests are pushed, and tokens bound to a key. */
export function fapiRequirements(metadata: Metadata): Metadata {
  if (!isOfProfile(metadata)) return {}
  return { require_pushed_authorization_requests: true, dpop_bound_access_tokens: true }
}

/** Refuses metadata that the FAPI 2.0 Security Profile does not allow to its clients. */
export function judgeFapi(metadata: Metadata): Refusal | undefined {
  if (!isOfProfile(metadata)) return undefined
  const refuse = (field: string, allowed: string) => ({
    field,
    rule: 'fapi_profile',
    message: `${field} must be ${allowed} with fapi_profile 2.0`,
  })
  if (metadata['token_endpoint_auth_method'] !== 'private_key_jwt') {
    return refuse('token_endpoint_auth_method', 'private_key_jwt') // §5.3.2.1; there is no mutual TLS here
  }
  const types = [metadata['response_types']].flat().filter((type) => type !== undefined)
  if (types.some((type) => type !== 'code')) return refuse('response_types', 'code alone') // §5.3.2.2
  if ([metadata['grant_types']].flat().includes('implicit')) return refuse('grant_types', 'without implicit')
  if (metadata['require_pkce'] === false) return refuse('require_pkce', 'true or left out') // §5.3.2.2
  const field = signed.find((name) => metadata[name] !== undefined && !fapiAlgorithms.includes(String(metadata[name])))
  return field === undefined ? undefined : refuse(field, 'PS256, ES256 or EdDSA')
}
