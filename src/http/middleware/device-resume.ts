import type { Middleware } from 'koa'
import type Provider from 'oidc-provider'

/** Answers for whoever opens the address at which a device login goes on without having begun one in this browser. */
export function refuseStrayDevices(provider: Provider): Middleware {
  return async (ctx, next) => {
    if (ctx.path.startsWith('/device/') && ctx.cookies.get(provider.cookieName('resume')) === undefined) {
      ctx.throw(410, 'This sign-in cannot go on.', { page: 'expired' })
    }
    await next()
  }
}
