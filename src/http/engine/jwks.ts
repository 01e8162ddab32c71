import type { Middleware } from 'koa'
import { sha256 } from '../../crypto/digests.ts'
import { routes } from '../../oidc/endpoints.ts'

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
  let known: { keys: object; body: string; etag: string } | undefined // an engine's keys are the same each time
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
