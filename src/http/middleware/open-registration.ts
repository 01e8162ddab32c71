import type { Middleware } from 'koa'
import { networkOf } from '../../authentication/networks.ts'
import { keyedHash, randomId } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { routes } from '../../oidc/features.ts'
import { current } from '../../oidc/request-scope.ts'
import type { Secret } from '../../secret.ts'
import * as rateLimits from '../../stores/rate-limits.ts'

export type OpenRegistrations = { perHour: number; perAddressPerHour: number }

const windowSeconds = 3_600

/**
 * Lets those register who have no token for it (RFC 7591 §3, open registration), so many in an hour. The engine can ask
 * for an initial access token or not, but not leave it open: a request without one is given one that only itself knows.
 */
export function openRegistration({
  db,
  throttleKey,
  limits,
}: {
  db: Db
  throttleKey: Secret<Buffer>
  limits: OpenRegistrations
}): Middleware {
  const keyHash = (about: string) => keyedHash(throttleKey, `open registration\0${about}`)
  const everyone = { keyHash: keyHash('everyone'), most: limits.perHour }

  return async (ctx, next) => {
    const scope = current()
    const isRegistration = ctx.method === 'POST' && ctx.path === routes.registration
    if (!scope || !isRegistration || ctx.headers.authorization !== undefined) return next()

    // Counted however it ends: a refused registration is work too.
    const own = { keyHash: keyHash(`of ${networkOf(ctx.ip)}`), most: limits.perAddressPerHour }
    const seconds = await rateLimits.take(db, { own, everyone, windowSeconds })
    if (seconds > 0) {
      ctx.status = 429
      ctx.set({ 'Retry-After': String(seconds), 'Cache-Control': 'no-store' })
      ctx.body = { error: 'temporarily_unavailable', error_description: 'too many registrations, try again later' }
      return
    }
    scope.registration.openBearer = randomId()
    ctx.req.headers.authorization = `Bearer ${scope.registration.openBearer}`
    await next()
  }
}
