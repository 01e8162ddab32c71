import type { Middleware } from 'koa'

// What follows these is an identifier, in which upper and lower case differ.
const identified = /(?<=^\/(?:oauth\/authorize|oauth\/register|device|interaction|admin\/api\/[a-z-]+)\/)[^/]+/i

/**
 * Lets every page be reached by one spelling of its path only. Routers also take upper case and a slash at the
 * end; what is decided by path elsewhere, such as which guesses are counted, would be got around that way.
 */
export function onePath(): Middleware {
  return async (ctx, next) => {
    const fixed = ctx.path.replace(identified, '')
    const isExact = fixed === fixed.toLowerCase() && (ctx.path === '/' || !ctx.path.endsWith('/'))
    if (!isExact) ctx.throw(404)
    await next()
  }
}
