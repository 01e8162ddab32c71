import type { Context } from 'koa'
import type { SignInError } from '../../views/render.ts'

/** Why a form of an interaction was refused, with what its page shows again of it. */
export type RefusedForm =
  | { error: SignInError; email: string; retryAfterSeconds?: number | undefined }
  | { error: 'invalid-consent' }

export type RefusedForms = {
  /** Leads to the page of a form that was refused, which says why. Then to load it again sends nothing again. */
  leadBack(ctx: Context, uid: string, refused: RefusedForm): void
  /** What a page has to say of the form that was sent before it was asked for, once. */
  take(ctx: Context, uid: string): RefusedForm | undefined
}

const keptSeconds = 60 // from the redirect until the page is asked for
const longestEmail = 320 // characters that are shown again, of up to 8 bytes here: a browser drops a cookie over 4 kB

/** Remembers in the browser why its form was refused: in a signed cookie that goes to the pages of this interaction alone. */
export function createRefusedForms({ isSecure }: { isSecure: boolean }): RefusedForms {
  const name = isSecure ? '__Secure-postern_refused' : 'postern_refused'
  const pathOf = (uid: string) => `/interaction/${uid}`
  const options = (uid: string) =>
    ({ path: pathOf(uid), signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true }) as const

  return {
    leadBack(ctx, uid, refused) {
      const shown = 'email' in refused ? { ...refused, email: refused.email.slice(0, longestEmail) } : refused
      const value = Buffer.from(JSON.stringify({ uid, ...shown })).toString('base64url')
      ctx.cookies.set(name, value, { ...options(uid), maxAge: keptSeconds * 1000 })
      ctx.status = 303
      ctx.redirect(pathOf(uid))
    },
    take(ctx, uid) {
      const value = ctx.cookies.get(name, { signed: true })
      if (value === undefined) return undefined
      ctx.cookies.set(name, null, options(uid))
      const { uid: of, ...refused } = JSON.parse(Buffer.from(value, 'base64url').toString()) as {
        uid: string
      } & RefusedForm
      return of === uid ? refused : undefined
    },
  }
}
