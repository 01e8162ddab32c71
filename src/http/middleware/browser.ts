import type { Context, Middleware } from 'koa'
import { addressOf } from '../../oidc/endpoints.ts'
import type { BrowserCookie } from '../../oidc/request/browser.ts'
import { current } from '../../oidc/request/work.ts'

const mostCookies = 32 // of one browser, 75 bytes each: proxies refuse a header of more than 8 kB or so

/**
 * Tells the browser a request comes from by a cookie of the prefix `__Host-`, which no other host can write
 * (draft-ietf-httpbis-rfc6265bis §4.1.3.2), and gives it one when an interaction begins in it.
 *
 * The cookies that say *which* interaction goes on have paths of their own. They cannot have that prefix, and
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
    // One for each sign-in that began before the first one was answered, as when a browser opens all its tabs again.
    for (const { name } of presented.filter((cookie) => cookie !== bound).slice(0, 1 - mostCookies)) {
      ctx.cookies.set(prefix + name, null, options)
    }
  }
}

/** Read to the letter: a parser that trims more than the browser does takes names for these that it did not guard. */
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
