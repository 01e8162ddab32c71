import type { Context, Middleware } from 'koa'
import { addressOf, isServed } from '../../oidc/endpoints.ts'

/**
 * Rejects a path that no table names, so that only known addresses are served. Rejects a method that an address does
 * not have, and names the methods that it has (RFC 9110 §15.5.6).
 */
export const knownMethods: Middleware = async (ctx, next) => {
  const address = addressOf(ctx.path)
  if (!isServed(ctx.path)) ctx.throw(404)
  if (!address || (address.methods.includes(ctx.method) && !isQuestion(ctx))) return next()
  const { methods, pageOf } = address
  if (ctx.method === 'GET' && pageOf !== undefined) {
    leadToPage(ctx, pageOf)
    return
  }
  ctx.set('Allow', [...new Set([...methods, 'OPTIONS'])].join(', '))
  if (ctx.method !== 'OPTIONS') ctx.throw(405, `${ctx.method} is not possible here.`)
  ctx.status = 204
}

/**
 * Returns whether a client asks for the methods of an address (RFC 9110 §9.3.7), as opposed to a browser's CORS
 * preflight.
 */
function isQuestion(ctx: Context): boolean {
  return ctx.method === 'OPTIONS' && ctx.get('Access-Control-Request-Method') === ''
}

/** Redirects from the address of a form to the page that shows the form, without the query. */
function leadToPage(ctx: Context, pageOf: string): void {
  const segments = ctx.path.split('/')
  ctx.status = 303
  ctx.set('Cache-Control', 'no-store')
  ctx.redirect(
    pageOf
      .split('/')
      .map((segment, n) => (segment.startsWith(':') ? segments[n] : segment))
      .join('/'),
  )
}
