import type { Context, Middleware } from 'koa'
import { addressOf } from '../../oidc/endpoints.ts'

/** Refuses a method that an address has no use for, and names those it has (RFC 9110 §15.5.6). */
export const knownMethods: Middleware = async (ctx, next) => {
  const methods = addressOf(ctx.path)?.methods
  if (!methods || (methods.includes(ctx.method) && !isQuestion(ctx))) return next()
  ctx.set('Allow', [...new Set([...methods, 'OPTIONS'])].join(', '))
  if (ctx.method !== 'OPTIONS') ctx.throw(405, `${ctx.method} is not possible here.`)
  ctx.status = 204
}

/** Says whether a client asks what is possible here (RFC 9110 §9.3.7), and not a browser on behalf of another origin. */
function isQuestion(ctx: Context): boolean {
  return ctx.method === 'OPTIONS' && ctx.get('Access-Control-Request-Method') === ''
}
