import type { Context } from 'koa'
import type { ByPerson, StandingSignIn } from '../accounts/acting.ts'

/** Returns the origin of a change that the sender of a request makes to their own account. */
export function byPerson(ctx: Context): ByPerson {
  return { requestId: String(ctx.state['requestId']), address: ctx.ip, signIn: signInOf(ctx) }
}

/** Returns the sign-in that a request depends on, if it does. */
export function signInOf(ctx: Context): StandingSignIn | undefined {
  return ctx.state['signIn'] as StandingSignIn | undefined
}

/** Notes the sign-in that every change of this request depends on. */
export function dependOn(ctx: Context, signIn: StandingSignIn): void {
  ctx.state['signIn'] = signIn
}
