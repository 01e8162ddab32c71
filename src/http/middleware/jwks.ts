import type { Middleware } from 'koa'
import { sha256 } from '../../crypto/digests.ts'
import { routes } from '../../oidc/features.ts'

export type PublishedKeys = {
  kids: ReadonlySet<string>
  /** How long relying parties may remember the keys. */
  cacheSeconds: number
  /** Whether these are known to be all. */
  isCurrent: () => boolean
}

/**
 * Has relying parties remember the published keys for as long as the life cycle of keys reckons with (RFC 9111 §5.2),
 * and shows them none that is removed. While it is unknown whether there are newer ones, nobody is to remember these.
 */
export function cacheableJwks({ kids, cacheSeconds, isCurrent }: PublishedKeys): Middleware {
  return async (ctx, next) => {
    const isAsked = ctx.path === routes.jwks
    const isFresh = isAsked && isCurrent()
    await next()
    const { keys } = (ctx.body ?? {}) as { keys?: { kid: string }[] }
    if (!isAsked || !keys) return
    const type = ctx.response.get('Content-Type')
    const body = JSON.stringify({ keys: keys.filter(({ kid }) => kids.has(kid)) })
    ctx.body = body
    ctx.set('Content-Type', type)
    ctx.set('ETag', `"${sha256(body).toString('base64url')}"`)
    ctx.set('Cache-Control', isFresh ? `public, max-age=${cacheSeconds}` : 'no-store')
    if (ctx.fresh) ctx.status = 304
  }
}
