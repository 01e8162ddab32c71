import type { Middleware } from 'koa'
import type Provider from 'oidc-provider'
import { networksOf } from '../../authentication/networks.ts'
import { keyedHash } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { routes } from '../../oidc/endpoints.ts'
import { withEngineErrors } from '../../oidc/request/storage.ts'
import { current } from '../../oidc/request/work.ts'
import { TooManyRequests } from '../../oidc/too-many-requests.ts'
import type { Secret } from '../../secret.ts'
import * as throttles from '../../stores/operations/throttles.ts'
import type { Csrf } from '../csrf.ts'

const allowance = { burst: 10, everySeconds: 120 } // wrong codes from one network

/**
 * Slows down guesses of user codes, which are short (RFC 8628 §5.1). Every lookup by the engine counts, so only codes
 * count that come from our form with the secret of its session. A code that exists costs nothing.
 */
export function throttleUserCodes(
  provider: Provider,
  { db, throttleKey }: { db: Db; throttleKey: Secret<Buffer> },
): void {
  const { DeviceCode } = provider
  const find = DeviceCode.findByUserCode.bind(DeviceCode)

  DeviceCode.findByUserCode = async (...code) => {
    const rules = networksOf(current()?.address ?? '').map(({ network, allowance: times }) => ({
      keyHash: keyedHash(throttleKey, `user codes\0${network}`),
      burst: allowance.burst * times,
      everySeconds: allowance.everySeconds / times,
    }))
    const { way, waits } = await withEngineErrors(throttles.begin(db, [rules]))
    if (way === undefined) throw new TooManyRequests('codes', Math.min(...waits))
    const found = await find(...code)
    if (found) await withEngineErrors(throttles.giveBack(db, { restored: rules }))
    return found
  }
}

/** Refuses a code that was not sent from our page, or without the session of its form, before anything is read. */
export function ownUserCodesOnly({ provider, csrf }: { provider: Provider; csrf: Csrf }): Middleware {
  return async (ctx, next) => {
    if (ctx.path !== routes.code_verification || ctx.method !== 'POST') return next()
    csrf.assertOwnSite(ctx)
    if (ctx.cookies.get(provider.cookieName('session'), { signed: true }) === undefined) {
      ctx.throw(400, 'The code was sent without the session of its form.', { page: 'no-cookies' })
    }
    await next()
  }
}
