import type { Context } from 'koa'
import type { FindStoppedSignIn } from '../../oidc/request/stopped-sign-ins.ts'
import type { ErrorCode } from '../../views/texts/index.ts'

const statusByPage: Partial<Record<ErrorCode, number>> = {
  'already-done': 409,
  expired: 410,
  'app-gone': 410,
  'account-gone': 410,
  'signed-out': 410,
}

/** Refuses to continue an interaction that is over, or that began in another browser. Throws the page that says so. */
export async function refuseStray(ctx: Context, uid: string, findStoppedSignIn: FindStoppedSignIn): Promise<never> {
  const stopped = await findStoppedSignIn(uid)
  return ctx.throw(statusByPage[stopped.page] ?? 400, 'This sign-in cannot continue.', stopped)
}
