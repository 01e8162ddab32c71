import type { Middleware } from 'koa'
import { addressOf, withIdentifier, withoutSpareSlashes } from '../../oidc/endpoints.ts'

/**
 * Reads a path in one way: with a slash too many, which proxies and clients add when they join addresses, it is the same
 * address. Everything after this sees the address itself. Any other spelling is refused, upper case for one, though routers
 * take it: what is decided by path elsewhere, such as which guesses are counted, would be got around that way.
 */
export function onePath(): Middleware {
  return async (ctx, next) => {
    const path = withoutSpareSlashes(ctx.path)
    if (path !== ctx.path && addressOf(path)) ctx.path = path
    const fixed = withIdentifier(ctx.path, '') // upper and lower case differ in an identifier
    const isExact = fixed === fixed.toLowerCase() && (ctx.path === '/' || !ctx.path.endsWith('/'))
    if (!isExact) ctx.throw(404)
    await next()
  }
}
