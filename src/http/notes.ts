import type { Context } from 'koa'

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
 * @param options.keptSeconds - How long they wait for that page. By default it is requested at once.
 */
export function createNotes<Note extends object>({
  isSecure,
  keptSeconds = 60,
}: {
  isSecure: boolean
  keptSeconds?: number
}): Notes<Note> {
  const name = isSecure ? '__Secure-postern_note' : 'postern_note'
  const optionsOf = (path: string) =>
    ({ path, signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true }) as const

  return {
    leave(ctx, path, note) {
      const value = Buffer.from(JSON.stringify({ path, note })).toString('base64url')
      ctx.cookies.set(name, value, { ...optionsOf(path), maxAge: keptSeconds * 1000 })
    },
    take(ctx, path) {
      const value = ctx.cookies.get(name, { signed: true })
      if (value === undefined) return undefined
      ctx.cookies.set(name, null, optionsOf(path))
      const left = JSON.parse(Buffer.from(value, 'base64url').toString()) as { path: string; note: Note }
      return left.path === path ? left.note : undefined
    },
  }
}
