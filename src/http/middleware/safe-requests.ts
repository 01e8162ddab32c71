import type { Context, Middleware } from 'koa'
import { addressOf } from '../../oidc/endpoints.ts'

/**
 * Answers safe requests without any effect (RFC 9110 §9.2.1): `HEAD`, and a browser that fetches a page in advance.
 * Otherwise a code would be issued, a step completed or the person signed out before anybody opens the page.
 */
export const safeRequests: Middleware = async (ctx, next) => {
  const address = addressOf(ctx.path)
  const hasEffect = address?.errors === 'page' && !address.isSafe
  const isInAdvance = isPrefetch(ctx)
  if (!hasEffect || !(ctx.method === 'HEAD' || isInAdvance)) return next()
  ctx.set('Cache-Control', 'no-store')
  ctx.type = 'html'
  ctx.body = ''
  // Browsers discard a prefetched answer that is an error, and fetch the page again when the person opens it.
  ctx.status = isInAdvance ? 503 : 200
}

/** Recognizes a fetch in advance by the header of the Fetch standard, and by those that older browsers send. */
function isPrefetch(ctx: Context): boolean {
  return ['Sec-Purpose', 'Purpose', 'X-Purpose', 'X-Moz'].some((name) =>
    /^\s*(prefetch|prerender|preview)\b/i.test(ctx.get(name)),
  )
}
