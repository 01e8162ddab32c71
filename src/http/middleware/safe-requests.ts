import type { Context, Middleware } from 'koa'
import { addressOf } from '../../oidc/endpoints.ts'

/**
 * Keeps a request without effect that only looks (RFC 9110 §9.2.1): `HEAD`, and a browser that fetches a page in case the
 * person is going to open it. Otherwise the code would be issued, the step used up or the person signed out by then.
 */
export const safeRequests: Middleware = async (ctx, next) => {
  const address = addressOf(ctx.path)
  const hasEffect = address?.errors === 'page' && !address.isStill
  const isInAdvance = isPrefetch(ctx)
  if (!hasEffect || !(ctx.method === 'HEAD' || isInAdvance)) return next()
  ctx.set('Cache-Control', 'no-store')
  ctx.type = 'html'
  ctx.body = ''
  // A browser uses no prefetched answer that is an error: the person who does open the page has it fetched then.
  ctx.status = isInAdvance ? 503 : 200
}

/** By the header of the Fetch standard, and by those that browsers sent before that. */
function isPrefetch(ctx: Context): boolean {
  return ['Sec-Purpose', 'Purpose', 'X-Purpose', 'X-Moz'].some((name) =>
    /^\s*(prefetch|prerender|preview)\b/i.test(ctx.get(name)),
  )
}
