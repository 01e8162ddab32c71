import type { Context } from 'koa'
import type { FindWayBack } from '../../oidc/request/expired-interactions.ts'
import type { ErrorCode } from '../../views/texts/index.ts'

const statusByPage: Partial<Record<ErrorCode, number>> = {
  'already-done': 409,
  expired: 410,
  'app-gone': 410,
  'account-gone': 410,
  'signed-out': 410,
}

/** Refuses to continue an interaction that is over, or that began in another browser. Throws the page that says so. */
export async function refuseStray(ctx: Context, uid: string, findWayBack: FindWayBack): Promise<never> {
  const wayBack = await findWayBack(uid)
  return ctx.throw(statusByPage[wayBack.page] ?? 400, 'This sign-in cannot continue.', wayBack)
}
