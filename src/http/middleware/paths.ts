import type { Middleware } from 'koa'
import { addressOf, withIdentifier, withoutSpareSlashes } from '../../oidc/endpoints.ts'

/**
 * Gives each address one spelling. Proxies and clients add slashes when they join addresses: they are removed before
 * anything else reads the path. Any other spelling, such as upper case, is rejected, although routers accept it: it
 * would bypass decisions that depend on the path, such as which guesses are counted.
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
