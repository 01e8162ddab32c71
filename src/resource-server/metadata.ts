import { type HttpAnswer, type HttpRequest, targetOf } from './http.ts'
import type { Settings } from './options.ts'
import { algorithms } from './signatures.ts'

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
  /** Where clients find it, unless the audience is no web address: then it has no such place. */
  url: string | undefined
  /** Answers requests for it, and no others. */
  answer(request: HttpRequest): HttpAnswer | undefined
}

const keepForSeconds = 3_600

/** What clients have to know of this API, at the place that follows from its identifier (RFC 9728 §3.1). */
export function publishMetadata({ issuer, audience, isBoundOnly, demands, metadata }: Settings): PublishedMetadata {
  const document: ResourceMetadata = {
    ...(demands.scopes && { scopes_supported: [...demands.scopes] }),
    ...metadata,
    resource: audience,
    authorization_servers: [issuer],
    bearer_methods_supported: isBoundOnly ? [] : ['header'],
    dpop_signing_alg_values_supported: algorithms,
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
        'access-control-allow-origin': '*', // it is for clients in browsers too, and the same for everybody
      }
      return { status: 200, headers, body: document }
    },
  }
}

/** The well-known path comes between the host and the path, of which a lone slash is left out. */
function placeOf(audience: string): URL | undefined {
  const url = new URL(audience)
  if (!/^https?:$/.test(url.protocol)) return undefined
  url.pathname = `/.well-known/oauth-protected-resource${url.pathname === '/' ? '' : url.pathname}`
  return url
}
