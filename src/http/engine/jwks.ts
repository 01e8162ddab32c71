import type { Middleware } from 'koa'
import { sha256 } from '../../crypto/digests.ts'
import { routes } from '../../oidc/endpoints.ts'

export type PublishedKeys = {
  kids: ReadonlySet<string>
  /** How long relying parties may remember the keys. */
  cacheSeconds: number
  /** Returns whether no newer keys can exist that this process has not loaded. */
  isCurrent: () => boolean
}

/**
 * Lets relying parties cache the published keys for as long as the life cycle of keys allows (RFC 9111 §5.2), and
 * leaves removed keys out. While newer keys may exist that this process has not loaded, the answer must not be cached.
 */
export function cacheableJwks({ kids, cacheSeconds, isCurrent }: PublishedKeys): Middleware {
  let known: { keys: object; body: string; etag: string } | undefined // the keys of an engine never change
  const toKnown = (keys: { kid: string }[]) => {
    const body = JSON.stringify({ keys: keys.filter(({ kid }) => kids.has(kid)) })
    return { keys, body, etag: `"${sha256(body).toString('base64url')}"` }
  }

  return async (ctx, next) => {
    const isAsked = ctx.path === routes.jwks
    const isFresh = isAsked && isCurrent()
    await next()
    const { keys } = (ctx.body ?? {}) as { keys?: { kid: string }[] }
    if (!isAsked || !keys) return
    const type = ctx.response.get('Content-Type')
    if (known?.keys !== keys) known = toKnown(keys)
    ctx.body = known.body
    ctx.set('Content-Type', type)
    ctx.set('ETag', known.etag)
    ctx.set('Cache-Control', isFresh ? `public, max-age=${cacheSeconds}` : 'no-store')
    if (ctx.fresh) ctx.status = 304
  }
}
