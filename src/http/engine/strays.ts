import type { Middleware } from 'koa'
import type Provider from 'oidc-provider'
import { addressOf, type Endpoint } from '../../oidc/endpoints.ts'
import { goesOnHere } from '../../oidc/request/own-interaction.ts'
import type { FindStoppedSignIn } from '../../oidc/request/stopped-sign-ins.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import { refuseStray } from '../interactions/strays.ts'

const resuming: readonly (string | undefined)[] = ['resume', 'device-resume'] satisfies Endpoint[]

/**
 * Lets a sign-in or a device login continue only in the browser that began it. Any other browser is rejected before the
 * engine runs: the engine would first renew the session, sign it out because of another account, or approve the
 * device.
 */
export function refuseStrays({
  provider,
  storage,
  findStoppedSignIn,
}: {
  provider: Provider
  storage: Storage
  findStoppedSignIn: FindStoppedSignIn
}): Middleware {
  return async (ctx, next) => {
    if (resuming.includes(addressOf(ctx.path)?.endpoint)) {
      const uid = ctx.path.slice(ctx.path.lastIndexOf('/') + 1)
      const isNamed = ctx.cookies.get(provider.cookieName('resume')) === uid
      if (!isNamed || !(await goesOnHere(storage, uid))) await refuseStray(ctx, uid, findStoppedSignIn)
    }
    await next()
  }
}
