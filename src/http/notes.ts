import type { Context } from 'koa'
import { signInOf } from './by-person.ts'

/** Something that a page shows once, such as the reason why its form was rejected. */
export type Notes<Note extends object> = {
  /** Leaves a note for the next page below this path. */
  leave(ctx: Context, path: string, note: Note): void
  /** Returns the note that was left for this path just before, and forgets it. */
  take(ctx: Context, path: string): Note | undefined
}

/**
 * Keeps notes in the browser, in a signed cookie that is sent only to the pages below their path.
 *
 * Another host of the same site can write such a cookie, with a note that somebody else was left. So a note for a signed-in
 * person counts only in the session that it was left in: otherwise it could fill in the form of another person.
 *
 * @param options.acrossSignIns - Whether a sign-in may begin or end before the page is shown. Such a note fills in no form.
 * @param options.keptSeconds - How long they wait for that page. By default it is requested at once.
 */
export function createNotes<Note extends object>({
  isSecure,
  acrossSignIns = false,
  keptSeconds = 60,
}: {
  isSecure: boolean
  acrossSignIns?: boolean
  keptSeconds?: number
}): Notes<Note> {
  const name = isSecure ? '__Secure-postern_note' : 'postern_note'
  const optionsOf = (path: string) =>
    ({ path, signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true }) as const

  const sessionOf = (ctx: Context) => (acrossSignIns ? undefined : signInOf(ctx)?.sessionUid)

  return {
    leave(ctx, path, note) {
      const value = Buffer.from(JSON.stringify({ path, note, session: sessionOf(ctx) })).toString('base64url')
      ctx.cookies.set(name, value, { ...optionsOf(path), maxAge: keptSeconds * 1000 })
    },
    take(ctx, path) {
      const value = ctx.cookies.get(name, { signed: true })
      if (value === undefined) return undefined
      ctx.cookies.set(name, null, optionsOf(path))
      const left = JSON.parse(Buffer.from(value, 'base64url').toString()) as {
        path: string
        note: Note
        session?: string
      }
      return left.path === path && left.session === sessionOf(ctx) ? left.note : undefined
    },
  }
}
