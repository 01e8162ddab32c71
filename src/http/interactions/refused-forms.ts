import type { Context } from 'koa'
import type { PasskeyAddError } from '../../views/pages/account-passkeys.ts'
import type { ConsentError } from '../../views/pages/consent.ts'
import type { CodeError, ForgotError, NewPasswordError } from '../../views/pages/recovery.ts'
import type { SecondFactorError } from '../../views/pages/second-factor.ts'
import type { SignInError } from '../../views/pages/sign-in.ts'
import type { SignUpError } from '../../views/pages/sign-up.ts'
import type { SignUpCodeError } from '../../views/pages/sign-up-code.ts'

/** The reason why a form of an interaction was rejected, with the input that its page shows again. */
export type RefusedForm =
  | {
      page: 'sign-in'
      error: SignInError
      email: string
      retryAfterSeconds?: number | undefined
      /** A passkey that is not known here, which its authenticator is told to forget. */
      credentialId?: string | undefined
    }
  | { page: 'consent'; error: ConsentError }
  | { page: 'forgot'; error: ForgotError | 'directory' }
  | { page: 'code'; error: CodeError }
  | { page: 'password'; error: NewPasswordError }
  | { page: 'second-factor'; way: string; error: SecondFactorError; retryAfterSeconds?: number | undefined }
  | { page: 'enrol' }
  | { page: 'terms' }
  | { page: 'sign-up'; error: SignUpError; email: string; name: string }
  | { page: 'sign-up-code'; error: SignUpCodeError }
  | { page: 'sign-up-passkey'; error: PasskeyAddError }

export type RefusedForms = {
  /**
   * Redirects to the page of a rejected form, which shows the reason. Reloading that page does not send the form again.
   */
  leadBack(ctx: Context, uid: string, refused: RefusedForm): void
  /** Returns the form that was rejected just before this page was requested, and forgets it. */
  take(ctx: Context, uid: string): RefusedForm | undefined
  /** Returns and forgets it, if it is the form of this page. */
  takeOf<Page extends RefusedForm['page']>(ctx: Context, uid: string, page: Page): RefusedFormOf<Page> | undefined
}

export type RefusedFormOf<Page extends RefusedForm['page']> = Extract<RefusedForm, { page: Page }>

/**
 * The longest email, in characters (RFC 5321 §4.5.3.1: 64 + 1 + 255). Each takes up to 8 of the cookie's 4,096 bytes.
 */
export const longestEmail = 320

/** Where the page of each form is, below the interaction. */
const pathWithin: Record<Exclude<RefusedForm['page'], 'second-factor'>, string> = {
  'sign-in': '',
  consent: '',
  forgot: '/forgot',
  code: '/code',
  password: '',
  enrol: '/enrol/app',
  terms: '',
  'sign-up': '/sign-up',
  'sign-up-code': '/sign-up/code',
  'sign-up-passkey': '/sign-up/passkey',
}

const keptSeconds = 60 // from the redirect until the page is requested

/** Keeps the reason in the browser, in a signed cookie that is sent only to the pages of this interaction. */
export function createRefusedForms({ isSecure }: { isSecure: boolean }): RefusedForms {
  const name = isSecure ? '__Secure-postern_refused' : 'postern_refused'
  const pathOf = (uid: string) => `/interaction/${uid}`
  const options = (uid: string) =>
    ({ path: pathOf(uid), signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true }) as const

  function take(ctx: Context, uid: string): RefusedForm | undefined {
    const value = ctx.cookies.get(name, { signed: true })
    if (value === undefined) return undefined
    ctx.cookies.set(name, null, options(uid))
    const { uid: of, ...refused } = JSON.parse(Buffer.from(value, 'base64url').toString()) as {
      uid: string
    } & RefusedForm
    // While servers are replaced, the cookie may be one of the previous release, which names no page.
    return of === uid && 'page' in refused ? refused : undefined
  }

  return {
    take,
    takeOf(ctx, uid, page) {
      const refused = take(ctx, uid)
      return refused?.page === page ? (refused as never) : undefined
    },
    leadBack(ctx, uid, refused) {
      const shown = 'email' in refused ? { ...refused, email: refused.email.slice(0, longestEmail) } : refused
      const value = Buffer.from(JSON.stringify({ uid, ...shown })).toString('base64url')
      ctx.cookies.set(name, value, { ...options(uid), maxAge: keptSeconds * 1000 })
      ctx.status = 303
      const page = refused.page === 'second-factor' ? `/second-factor/${refused.way}` : pathWithin[refused.page]
      ctx.redirect(`${pathOf(uid)}${page}`)
    },
  }
}
