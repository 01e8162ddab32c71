import { clientMembers, hasEffect, type Metadata, texts } from './metadata.ts'
import { type Circumstances, effective } from './policy.ts'

/**
 * Leaves out the members that have no effect on a client that registers itself (RFC 7591 §2): libraries send members
 * for features that the client does not use. A member that the client needs stays, and is refused if it is not allowed.
 */
export function withoutUnused(metadata: Metadata): Metadata {
  const { grant_types: grants, response_types: responses = ['code'] } = metadata
  const needsImplicit = texts(responses).some((type) => /\b(id_)?token\b/.test(type))
  return {
    ...Object.fromEntries(Object.entries(metadata).filter(([name]) => hasEffect(name, metadata))),
    ...(Array.isArray(grants) && {
      grant_types: grants.filter((grant) => grant !== 'implicit' || needsImplicit || grants.length === 1),
    }),
  }
}

/**
 * Leaves out the redirect URIs, grant types and response types that a policy with `reduce` does not allow (RFC 7591
 * §3.2.1). At least one of those that the client names has to remain in each member; otherwise the member stays, and is
 * refused. The answer to the registration says what remained.
 */
export function reduced(metadata: Metadata, { policy, isLoopbackIssuer }: Circumstances): Metadata {
  const { rules } = policy
  if (!rules.reduce) return metadata
  const isNative = effective(metadata, policy)['application_type'] === 'native'
  const context = { rules, isNative, isLoopbackIssuer }
  const isAllowed: Record<string, (value: string) => boolean> = {
    redirect_uris: (uri) => clientMembers.redirect_uris.uri(uri, context) === undefined,
    post_logout_redirect_uris: (uri) => clientMembers.post_logout_redirect_uris.uri(uri, context) === undefined,
    grant_types: (grant) => rules.grant_types.includes(grant),
    response_types: (type) => rules.response_types.includes(type),
  }
  const changed = Object.entries(isAllowed).flatMap(([name, allows]) => {
    const { [name]: given } = metadata
    const left = Array.isArray(given) ? given.filter((value) => typeof value === 'string' && allows(value)) : []
    return left.length > 0 ? [[name, left] as const] : []
  })
  return { ...metadata, ...Object.fromEntries(changed) }
}
