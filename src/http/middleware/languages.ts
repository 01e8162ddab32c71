import type { Middleware } from 'koa'
import type { Language } from '../../languages/index.ts'
import { addWishes, readerOf } from '../../oidc/request/reader.ts'

/** The cookie with the language that a person chose, and the one with their choice on a single page. */
export const languageCookies = { everywhere: 'postern_language', here: 'postern_language_here' } as const

/** Records the language that the browser asks for, and that the person chose in it. Pages are in that language. */
export function languagesOfBrowser({ defaultLanguage }: { defaultLanguage: Language }): Middleware {
  return async (ctx, next) => {
    ctx.state['wishes'] = { fallback: defaultLanguage }
    addWishes(ctx, {
      here: ctx.cookies.get(languageCookies.here, { signed: false }),
      own: ctx.cookies.get(languageCookies.everywhere, { signed: false }),
      accepted: ctx.get('Accept-Language'),
    })
    await next()
    if (!ctx.response.is('html')) return
    ctx.set('Content-Language', readerOf(ctx).language)
    ctx.vary('Accept-Language') // RFC 9110 §12.5.5; no cache keeps a page, but an archive may
  }
}
