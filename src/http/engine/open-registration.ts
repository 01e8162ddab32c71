import type { Middleware } from 'koa'
import { networksOf, widestNetworkOf } from '../../authentication/networks.ts'
import { keyedHash, randomId } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { routes } from '../../oidc/endpoints.ts'
import { current } from '../../oidc/request/work.ts'
import { TooMany } from '../../oidc/too-many.ts'
import type { Secret } from '../../secret.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'

export type OpenRegistrations = { perHour: number; perAddressPerHour: number }

const windowSeconds = 3_600
const reservedShare = 0.2 // of all registrations, for networks that have none yet

/**
 * Lets those register who have no token for it (RFC 7591 §3, open registration), so many in an hour. The engine can ask
 * for an initial access token or not, but not leave it open: a request without one is given one that only itself knows.
 */
export function openRegistration({
  db,
  throttleKey,
  limits: { perHour, perAddressPerHour },
}: {
  db: Db
  throttleKey: Secret<Buffer>
  limits: OpenRegistrations
}): Middleware {
  const keyHash = (...about: string[]) => keyedHash(throttleKey, ['open registration', ...about].join('\0'))
  const everyone = { keyHash: keyHash('everyone'), most: perHour, reserved: Math.floor(perHour * reservedShare) }

  return async (ctx, next) => {
    const work = current()
    const isRegistration = ctx.method === 'POST' && ctx.path === routes.registration
    if (!work || !isRegistration || ctx.headers.authorization !== undefined) return next()

    // Under its own network a request counts however it ends: a refused registration is work too.
    const limits = networksOf(ctx.ip).map(({ network, allowance }) => ({
      keyHash: keyHash('of', network),
      most: perAddressPerHour * allowance,
    }))
    const seconds = await rateLimits.take(db, { limits, windowSeconds })
    if (seconds > 0) {
      const { error, error_description } = tooMany(seconds)
      ctx.status = 429
      ctx.set({ 'Retry-After': String(seconds), 'Cache-Control': 'no-store' })
      ctx.body = { error, error_description }
      return
    }
    // Under everybody's it counts only together with the client that comes of it.
    const own = keyHash('registered by', widestNetworkOf(ctx.ip))
    const openBearer = randomId()
    work.registration = {
      step: 'asked',
      openBearer,
      async count(tx) {
        const secondsForAll = await rateLimits.takeShared(tx, { own, everyone, windowSeconds })
        if (secondsForAll > 0) throw tooMany(secondsForAll)
      },
    }
    ctx.req.headers.authorization = `Bearer ${openBearer}`
    await next()
  }
}

const tooMany = (seconds: number) => new TooMany('registrations', seconds)
