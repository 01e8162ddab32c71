import { allLanguages, isLanguage, type Language } from '../../languages/index.ts'
import { acceptedLanguages, lookup } from '../../languages/lookup.ts'
import { current } from './work.ts'

/** Everything that the language of a page can follow from, the strongest first. */
export type Wishes = {
  /** The language that the person chose on this very page. */
  here?: string | undefined
  /** The `ui_locales` of the app's request (OpenID Connect Core §3.1.2.1). */
  uiLocales?: unknown
  /** The language that the person chose on another page of this server. */
  own?: string | undefined
  /** The `locale` of the account that is signed in. */
  locale?: unknown
  /** The `Accept-Language` header. */
  accepted?: string | undefined
  /** The language of the settings. */
  fallback: Language
}

/** The person that a page is for: their language, which they can change on it. */
export type Reader = { language: Language; canChoose: true }

/** The part of a Koa context that a page depends on. The engine's own requests have `oidc`. */
type Context = {
  state: Record<string, unknown>
  oidc?: {
    params?: Record<string, unknown> | undefined
    session?: { accountId?: string | undefined } | undefined
  }
}

/** Returns the language of a page. */
export function chooseLanguage({ here, uiLocales, own, locale, accepted = '', fallback }: Wishes): Language {
  if (isLanguage(here)) return here
  return (
    lookup(words(uiLocales), allLanguages) ??
    (isLanguage(own) ? own : undefined) ??
    lookup(words(locale), allLanguages) ??
    lookup(acceptedLanguages(accepted), allLanguages) ??
    fallback
  )
}

const words = (value: unknown) => (typeof value === 'string' ? value.split(' ').filter(Boolean) : [])

/** Adds what has become known about the person that a page is for. */
export function addWishes(ctx: Pick<Context, 'state'>, wishes: Omit<Wishes, 'fallback'>): void {
  ctx.state['wishes'] = { ...(ctx.state['wishes'] as Wishes), ...wishes }
}

/** Returns the person that a page is for. */
export function readerOf(ctx: Context): Reader {
  const { params, session } = ctx.oidc ?? {}
  const account = session?.accountId === undefined ? undefined : current()?.reads.accounts.get(session.accountId)
  const wishes = ctx.state['wishes'] as Wishes
  return {
    language: chooseLanguage({
      ...wishes,
      uiLocales: wishes.uiLocales ?? params?.['ui_locales'],
      locale: wishes.locale ?? account?.profile['locale'],
    }),
    canChoose: true,
  }
}
