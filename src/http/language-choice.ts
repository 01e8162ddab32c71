import Router from '@koa/router'
import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { z } from 'zod'
import type { Acting } from '../accounts/acting.ts'
import * as ownClaims from '../accounts/own-claims.ts'
import type { EditableClaim } from '../config/settings/account-pages.ts'
import type { Db } from '../database/schema.ts'
import { allLanguages, type Language } from '../languages/index.ts'
import { accountPath } from '../oidc/clients/account-pages.ts'
import { findSignedIn } from './account/signed-in.ts'
import { byPerson } from './by-person.ts'
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
 *
 * The account that is signed in gets the language too, so that its mails are in it, if people may edit their `locale`.
 */
export function languageRoutes({
  issuer,
  csrf,
  db,
  provider,
  act,
  editableClaims,
}: {
  issuer: string
  csrf: Csrf
  db: Db
  provider: Provider
  act: Acting
  editableClaims: readonly EditableClaim[]
}): Router {
  const isSecure = issuer.startsWith('https:')
  const router = new Router()
  router.post('/language', form, async (ctx) => {
    csrf.assertOwnSite(ctx)
    const { language } = readForm(ctx, choice)
    const page = URL.parse(ctx.get('Referer'))
    const { pathname, search } = page?.origin === new URL(issuer).origin ? page : new URL(issuer)
    keepLanguage(ctx, language, { isSecure })
    // A cookie cannot be for a path with a semicolon, which only an address of no page contains.
    if (canNameLanguage(pathname) && !pathname.includes(';'))
      ctx.cookies.set(languageCookies.here, language, { ...optionsOf(isSecure), path: pathname, maxAge: hourMs })
    const person = editableClaims.includes('locale') ? await findSignedIn(ctx, { provider, db }) : undefined
    if (person) await act(byPerson(ctx), (context) => ownClaims.edit(context, person.account.id, { locale: language }))
    ctx.status = 303
    ctx.redirect(pathname.replace(/^\/+/, '/') + search)
  })
  return router
}

const optionsOf = (isSecure: boolean) => ({ signed: false, httpOnly: true, sameSite: 'lax', secure: isSecure }) as const

/** Keeps the language of this browser. `undefined` forgets it, so that the browser's own language counts again. */
export function keepLanguage(ctx: Context, language: Language | undefined, { isSecure }: { isSecure: boolean }): void {
  ctx.cookies.set(languageCookies.everywhere, language ?? null, { ...optionsOf(isSecure), maxAge: yearMs })
}

/** Returns whether an app can have asked for the language of a page. */
function canNameLanguage(path: string): boolean {
  return path !== '/' && path !== accountPath && !path.startsWith(`${accountPath}/`)
}
