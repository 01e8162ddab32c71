import type { Context } from 'koa'
import { askedBy } from '../../oidc/request/browser.ts'
import { current } from '../../oidc/request/work.ts'

/** The address that a code was asked for in an interaction, kept until the code is entered. */
export type AskedCodes = {
  remember(ctx: Context, uid: string, email: string): void
  /** Returns the address, or `undefined` if no code was asked for here. */
  recall(ctx: Context): string | undefined
}

const keptSeconds = 3_600

/** Keeps the address in the browser, in a signed cookie that is sent only to the pages of this interaction. */
export function createAskedCodes({ isSecure }: { isSecure: boolean }): AskedCodes {
  const name = isSecure ? '__Secure-postern_asked' : 'postern_asked'

  return {
    remember(ctx, uid, email) {
      ctx.cookies.set(name, Buffer.from(email).toString('base64url'), {
        path: `/interaction/${uid}`,
        signed: true,
        httpOnly: true,
        sameSite: 'lax',
        secure: isSecure,
        overwrite: true,
        maxAge: keptSeconds * 1000,
      })
    },
    recall(ctx) {
      const value = ctx.cookies.get(name, { signed: true })
      return value === undefined ? undefined : Buffer.from(value, 'base64url').toString()
    },
  }
}

/** Returns the hash of this browser and interaction, for a link or a code that is asked for here. */
export function browserHashOf(uid: string): Buffer {
  const browser = current()?.browser
  if (!browser) throw new Error('A code can be asked for only where the browser is known.')
  return askedBy(browser, uid)
}
