import type { Context, Middleware } from 'koa'
import type { Language } from '../../languages/index.ts'
import { routes } from '../../oidc/endpoints.ts'
import { addWishes, readerOf } from '../../oidc/request/reader.ts'

/**
 * The cookies with the language that a person chose, on every page and on this one, and with the languages that an app
 * asked for at this page.
 */
export const languageCookies = {
  everywhere: 'postern_language',
  here: 'postern_language_here',
  asked: 'postern_language_asked',
} as const

const askedMs = 10 * 60 * 1000 // until the person has answered the page

/** Records the language that the browser asks for, and that the person chose in it. Pages are in that language. */
export function languagesOfBrowser({
  defaultLanguage,
  isSecure,
}: {
  defaultLanguage: Language
  isSecure: boolean
}): Middleware {
  return async (ctx, next) => {
    const cookie = (name: string) => ctx.cookies.get(name, { signed: false })
    const asked = askedIn(ctx)
    ctx.state['wishes'] = { fallback: defaultLanguage }
    addWishes(ctx, {
      here: cookie(languageCookies.here),
      uiLocales: asked ?? cookie(languageCookies.asked),
      own: cookie(languageCookies.everywhere),
      accepted: ctx.get('Accept-Language'),
    })
    await next()
    if (!ctx.response.is('html')) return
    const { language } = readerOf(ctx)
    ctx.set('Content-Language', language)
    ctx.vary('Accept-Language') // RFC 9110 §12.5.5; no cache keeps a page, but an archive may
    if (asked !== undefined) {
      const options = { signed: false, httpOnly: true, sameSite: 'lax', secure: isSecure, path: ctx.path } as const
      ctx.cookies.set(languageCookies.asked, language, { ...options, maxAge: askedMs })
    }
  }
}

/**
 * Returns the `ui_locales` of a request that the engine does not keep: of signing out (RP-Initiated Logout 1.0 §2), and of
 * entering the code of a device.
 */
function askedIn({ path, search }: Context): string | undefined {
  if (!search || (path !== routes.end_session && path !== routes.code_verification)) return undefined
  return new URLSearchParams(search).get('ui_locales') ?? undefined
}
