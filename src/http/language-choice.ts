import Router from '@koa/router'
import { z } from 'zod'
import { allLanguages } from '../languages/index.ts'
import type { Csrf } from './csrf.ts'
import { form, readForm } from './forms.ts'
import { languageCookies } from './middleware/languages.ts'

const choice = z.object({ language: z.enum(allLanguages) })

const yearMs = 365 * 24 * 3600 * 1000
const hourMs = 3600 * 1000 // as long as a sign-in may take

/**
 * Keeps the language that a person chose, and leads back to the page where they did. The browser names that page: its
 * address can be a secret, so the page does not repeat it. An app that asks for a language in
 * its request gets it on the next page, but not on this one: there the person has just chosen another.
 */
export function languageRoutes({ issuer, csrf }: { issuer: string; csrf: Csrf }): Router {
  const options = { signed: false, httpOnly: true, sameSite: 'lax', secure: issuer.startsWith('https:') } as const
  const router = new Router()
  router.post('/language', form, async (ctx) => {
    csrf.assertOwnSite(ctx)
    const { language } = readForm(ctx, choice)
    const page = URL.parse(ctx.get('Referer'))
    const { pathname, search } = page?.origin === new URL(issuer).origin ? page : new URL(issuer)
    ctx.cookies.set(languageCookies.everywhere, language, { ...options, maxAge: yearMs })
    // A cookie cannot be for a path with a semicolon, which only an address of no page contains.
    if (pathname !== '/' && !pathname.includes(';'))
      ctx.cookies.set(languageCookies.here, language, { ...options, path: pathname, maxAge: hourMs })
    ctx.status = 303
    ctx.redirect(pathname.replace(/^\/+/, '/') + search)
  })
  return router
}
