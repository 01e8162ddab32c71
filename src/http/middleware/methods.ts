import type { Context, Middleware } from 'koa'
import { addressOf, isServed } from '../../oidc/endpoints.ts'

/**
 * Rejects a path that no table names, so that nothing is served of which we do not know what it is, and a method that an
 * address does not have, with those that it has (RFC 9110 §15.5.6).
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

/** Says whether a client asks what is possible here (RFC 9110 §9.3.7), and not a browser on behalf of another origin. */
function isQuestion(ctx: Context): boolean {
  return ctx.method === 'OPTIONS' && ctx.get('Access-Control-Request-Method') === ''
}

/** Leads whoever opens the address of a form to the page that has it, without what the address carries besides. */
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
