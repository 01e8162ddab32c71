import type { Context } from 'koa'
import { longestEmail } from './refused-forms.ts'

/** The address that a person typed in an interaction, which later pages of it name. */
export type TypedAddresses = {
  keep(ctx: Context, uid: string, email: string): void
  /** Returns the address; '' if none was typed. */
  read(ctx: Context, uid: string): string
}

/** Keeps the address in the browser, in a signed cookie that is sent only to the pages of this interaction. */
export function createTypedAddresses({
  isSecure,
  lifetimeSeconds,
}: {
  isSecure: boolean
  lifetimeSeconds: number
}): TypedAddresses {
  const name = isSecure ? '__Secure-postern_address' : 'postern_address'

  return {
    keep(ctx, uid, email) {
      const value = Buffer.from(JSON.stringify({ uid, email: email.slice(0, longestEmail) })).toString('base64url')
      ctx.cookies.set(name, value, {
        path: `/interaction/${uid}`,
        signed: true,
        httpOnly: true,
        sameSite: 'lax',
        secure: isSecure,
        overwrite: true,
        maxAge: lifetimeSeconds * 1000,
      })
    },
    read(ctx, uid) {
      const value = ctx.cookies.get(name, { signed: true })
      if (value === undefined) return ''
      const kept = JSON.parse(Buffer.from(value, 'base64url').toString()) as { uid: string; email: string }
      return kept.uid === uid ? kept.email : ''
    },
  }
}
