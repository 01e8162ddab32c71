import type { Context } from 'koa'

/** Something that one form of an interaction leaves for its later pages. */
export type Kept<Value> = {
  keep(ctx: Context, uid: string, value: Value): void
  read(ctx: Context, uid: string): Value | undefined
  forget(ctx: Context, uid: string): void
}

/** Keeps values in the browser, in a signed cookie that is sent only to the pages of their interaction. */
export function createKept<Value>(
  name: string,
  { isSecure, lifetimeSeconds }: { isSecure: boolean; lifetimeSeconds: number },
): Kept<Value> {
  const cookie = `${isSecure ? '__Secure-' : ''}postern_${name}`
  const options = { signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true } as const

  return {
    keep(ctx, uid, value) {
      const kept = { uid, value, until: Date.now() + lifetimeSeconds * 1000 }
      ctx.cookies.set(cookie, Buffer.from(JSON.stringify(kept)).toString('base64url'), {
        ...options,
        path: `/interaction/${uid}`,
        maxAge: lifetimeSeconds * 1000,
      })
    },
    read(ctx, uid) {
      const text = ctx.cookies.get(cookie, { signed: true })
      if (text === undefined) return undefined
      const kept = JSON.parse(Buffer.from(text, 'base64url').toString()) as { uid: string; value: Value; until: number }
      return kept.uid === uid && kept.until > Date.now() ? kept.value : undefined
    },
    forget: (ctx, uid) => void ctx.cookies.set(cookie, null, { ...options, path: `/interaction/${uid}` }),
  }
}
