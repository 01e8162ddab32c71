import { type Circumstances, effective, type Metadata } from './policy.ts'
import { postLogoutRedirectUriProblem, redirectUriProblem } from './redirect-uris.ts'

const links = ['client_uri', 'logo_uri', 'policy_uri', 'tos_uri']

/**
 * Metadata that a client registers itself with, without what has no effect on it (RFC 7591 §2): libraries send members for
 * features that the client does not use. What it says that it needs stays, and is refused if it cannot be had.
 */
export function withoutUnused(metadata: Metadata): Metadata {
  const { grant_types: grants, response_types: responses = ['code'] } = metadata
  const left = Object.entries(metadata).filter(([name, value]) => {
    if (value === '' && (name === 'scope' || links.includes(name))) return false
    if (name === 'token_endpoint_auth_signing_alg') return /_jwt$/.test(String(metadata['token_endpoint_auth_method']))
    // Without keys nothing can be signed with it, and `none` asks for nothing.
    if (name === 'request_object_signing_alg') {
      return metadata['require_signed_request_object'] || (value !== 'none' && hasKeys(metadata))
    }
    return true
  })
  const needsImplicit = texts(responses).some((type) => /\b(id_)?token\b/.test(type))
  return {
    ...Object.fromEntries(left),
    ...(Array.isArray(grants) && {
      grant_types: grants.filter((grant) => grant !== 'implicit' || needsImplicit || grants.length === 1),
    }),
  }
}

/**
 * Metadata without what a policy with `reduce` does not allow, as far as the client can be without it (RFC 7591 §3.2.1):
 * redirect URIs, grant types and response types, of which at least one has to be left of those it names. The answer says what
 * remained.
 */
export function reduced(metadata: Metadata, { policy, isLoopbackIssuer }: Circumstances): Metadata {
  const { rules } = policy
  if (!rules.reduce) return metadata
  const isNative = effective(metadata, policy)['application_type'] === 'native'
  const context = { rules, isNative, isLoopbackIssuer }
  const isAllowed: Record<string, (value: string) => boolean> = {
    redirect_uris: (uri) => redirectUriProblem(uri, context) === undefined,
    post_logout_redirect_uris: (uri) => postLogoutRedirectUriProblem(uri, context) === undefined,
    grant_types: (grant) => rules.grant_types.includes(grant),
    response_types: (type) => rules.response_types.includes(type),
  }
  const changed = Object.entries(isAllowed).flatMap(([name, isGood]) => {
    const { [name]: given } = metadata
    const left = Array.isArray(given) ? given.filter((value) => typeof value === 'string' && isGood(value)) : []
    return left.length > 0 ? [[name, left] as const] : []
  })
  return { ...metadata, ...Object.fromEntries(changed) }
}

const hasKeys = ({ jwks, jwks_uri: uri }: Metadata) => jwks !== undefined || uri !== undefined
const texts = (value: unknown): string[] => [value].flat().filter((item) => typeof item === 'string')
