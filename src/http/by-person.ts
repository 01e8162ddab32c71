import type { Context } from 'koa'
import type { ByPerson } from '../accounts/acting.ts'

/** Returns the origin of a change that the sender of a request makes to their own account. */
export function byPerson(ctx: Context): ByPerson {
  return { requestId: String(ctx.state['requestId']), address: ctx.ip }
}
