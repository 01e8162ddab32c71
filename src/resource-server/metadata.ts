import { type HttpAnswer, type HttpRequest, targetOf } from './http.ts'
import type { Settings } from './options.ts'

/** Protected resource metadata (RFC 9728 §2). */
export type ResourceMetadata = {
  resource: string
  authorization_servers: string[]
  scopes_supported?: string[]
  bearer_methods_supported: string[]
  dpop_signing_alg_values_supported: string[]
  dpop_bound_access_tokens_required: boolean
  [member: string]: unknown
}

export type PublishedMetadata = {
  document: ResourceMetadata
  /** Where clients find it. An audience that is not a web address has no such place. */
  url: string | undefined
  /** Answers a request for it, and no other. */
  answer(request: HttpRequest): HttpAnswer | undefined
}

const keepForSeconds = 3_600

/**
 * Publishes what clients have to know about this API, at the address that follows from its identifier (RFC 9728 §3.1).
 */
export function publishMetadata({
  issuer,
  audience,
  isBoundOnly,
  proofAlgorithms,
  demands,
  metadata,
}: Settings): PublishedMetadata {
  const document: ResourceMetadata = {
    ...(demands.scopes && { scopes_supported: [...demands.scopes] }),
    ...metadata,
    resource: audience,
    authorization_servers: [issuer],
    bearer_methods_supported: isBoundOnly ? [] : ['header'],
    dpop_signing_alg_values_supported: [...proofAlgorithms],
    dpop_bound_access_tokens_required: isBoundOnly,
  }
  const url = placeOf(audience)
  return {
    document,
    url: url?.href,
    answer(request) {
      if (!url || targetOf(request).path !== url.pathname || !['GET', 'HEAD'].includes(request.method)) return undefined
      const headers = {
        'cache-control': `public, max-age=${keepForSeconds}`,
        'access-control-allow-origin': '*', // it is public, and clients in browsers read it too
      }
      return { status: 200, headers, body: document }
    },
  }
}

/**
 * Returns the address of the metadata: the well-known path comes between host and path. A path that is only a slash is
 * left out.
 */
function placeOf(audience: string): URL | undefined {
  const url = new URL(audience)
  if (!/^https?:$/.test(url.protocol)) return undefined
  url.pathname = `/.well-known/oauth-protected-resource${url.pathname === '/' ? '' : url.pathname}`
  return url
}
