import type { Context, Middleware } from 'koa'
import { addressOf } from '../../oidc/endpoints.ts'
import type { BrowserCookie } from '../../oidc/request/browser.ts'
import { current } from '../../oidc/request/work.ts'

const mostCookies = 32 // per browser, 75 bytes each: many proxies reject a header of more than 8 kB

/**
 * Recognizes the browser of a request by a cookie with the prefix `__Host-`, which no other host can write
 * (draft-ietf-httpbis-rfc6265bis §4.1.3.2), and sets that cookie when an interaction begins.
 *
 * The cookies that say *which* interaction continues have paths of their own. They cannot have that prefix, so
 * every host of the same site can write them.
 */
export function browserCookies({
  isSecure,
  lifetimeSeconds,
}: {
  isSecure: boolean
  lifetimeSeconds: number
}): Middleware {
  const prefix = `${isSecure ? '__Host-' : ''}postern_browser_`
  const options = { signed: false, httpOnly: true, sameSite: 'lax', secure: isSecure, path: '/' } as const

  return async (ctx, next) => {
    const work = current()
    if (!work || !addressOf(ctx.path)?.isOfInteraction) return next()
    const browser = { presented: presentedIn(ctx, prefix), bound: undefined as BrowserCookie | undefined }
    work.browser = browser
    await next()
    const { presented, bound } = browser
    if (!bound) return
    ctx.cookies.set(prefix + bound.name, bound.value, { ...options, maxAge: lifetimeSeconds * 1000 })
    // A browser that reopens its tabs begins several sign-ins before the first is answered, and gets a cookie for each.
    for (const { name } of presented.filter((cookie) => cookie !== bound).slice(0, 1 - mostCookies)) {
      ctx.cookies.set(prefix + name, null, options)
    }
  }
}

/**
 * Returns the browser's cookies with this prefix. It takes every name literally: a parser that trims more than the
 * browser would accept names that the browser does not protect.
 */
function presentedIn(ctx: Context, prefix: string): BrowserCookie[] {
  return ctx
    .get('Cookie')
    .split('; ')
    .filter((pair) => pair.startsWith(prefix))
    .map((pair) => {
      const [name = '', ...value] = pair.split('=')
      return { name: name.slice(prefix.length), value: value.join('=') }
    })
    .filter(({ name, value }) => name !== '' && value !== '')
}
