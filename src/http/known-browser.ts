import type { Context } from 'koa'
import { knownSeconds } from '../authentication/known-browsers.ts'

/** The cookie by which a browser is known to have signed in before. Its value is signed by what makes it. */
export type KnownBrowserCookie = {
  read(ctx: Context): string | undefined
  write(ctx: Context, value: string): void
}

/**
 * Keeps the cookie under a name that no other host can set (RFC 6265bis §4.1.3.2). Over http, which is for loopback
 * alone, browsers accept no such name.
 */
export function createKnownBrowserCookie(issuer: string): KnownBrowserCookie {
  const isSecure = issuer.startsWith('https:')
  const name = isSecure ? '__Host-postern_known' : 'postern_known'
  return {
    read: (ctx) => ctx.cookies.get(name, { signed: false }),
    write: (ctx, value) => {
      ctx.cookies.set(name, value, {
        signed: false,
        secure: isSecure,
        httpOnly: true,
        sameSite: 'strict', // it is for the sign-in form, which a page of ours sends
        maxAge: knownSeconds * 1000,
        overwrite: true,
      })
    },
  }
}
