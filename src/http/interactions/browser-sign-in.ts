import type { Context } from 'koa'
import { knownSeconds } from '../../authentication/known-browsers.ts'
import type { SignIn, SignInOutcome } from '../../authentication/sign-in.ts'

/** Signs a person in. From then on, the browser is known as one that has signed in, unless the sign-in is not lasting. */
export type BrowserSignIn = (
  ctx: Context,
  form: { email: string; password: string; isLasting?: boolean },
) => Promise<SignInOutcome>

/**
 * Reads and sets the cookie of known browsers, under a name that no other host can set (RFC 6265bis §4.1.3.2). Browsers
 * do not accept such a name over http, which is allowed on loopback only. The value carries its own signature.
 */
export function createBrowserSignIn({ issuer, signIn }: { issuer: string; signIn: SignIn }): BrowserSignIn {
  const isSecure = issuer.startsWith('https:')
  const name = isSecure ? '__Host-postern_known' : 'postern_known'

  return async (ctx, { email, password, isLasting = true }) => {
    const knownBrowser = ctx.cookies.get(name, { signed: false })
    const requestId = String(ctx.state['requestId'])
    const outcome = await signIn({ email, password, address: ctx.ip, requestId, knownBrowser })
    if ('error' in outcome || !isLasting) return outcome
    ctx.cookies.set(name, outcome.knownBrowser, {
      signed: false,
      secure: isSecure,
      httpOnly: true,
      sameSite: 'strict', // only the sign-in form needs it, and our own page sends that
      maxAge: knownSeconds * 1000,
      overwrite: true,
    })
    return outcome
  }
}
