import type { Context } from 'koa'
import type { ByPerson, StandingSignIn } from '../accounts/acting.ts'

/** Returns the origin of a change that the sender of a request makes to their own account. */
export function byPerson(ctx: Context): ByPerson {
  const signIn = ctx.state['signIn'] as StandingSignIn | undefined
  return { requestId: String(ctx.state['requestId']), address: ctx.ip, signIn }
}

/** Notes the sign-in that every change of this request depends on. */
export function dependOn(ctx: Context, signIn: StandingSignIn): void {
  ctx.state['signIn'] = signIn
}
