import type { Middleware } from 'koa'
import { networksOf, widestNetworkOf } from '../../authentication/networks.ts'
import { keyedHash, randomId } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { routes } from '../../oidc/endpoints.ts'
import { current } from '../../oidc/request/work.ts'
import { TooManyRequests } from '../../oidc/too-many-requests.ts'
import type { Secret } from '../../secret.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'

export type OpenRegistrations = { perHour: number; perAddressPerHour: number }

const windowSeconds = 3_600
const reservedShare = 0.2 // of all registrations, for networks that have not registered a client yet

/**
 * Lets clients register without an initial access token (RFC 7591 §3, open registration), up to a number an hour. The
 * engine either requires the token or ignores it, so a request without one gets a token that only this request knows.
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

    // A request always counts for its own network: a rejected registration is work too.
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
    // It counts for everyone only in the transaction that creates the client.
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

const tooMany = (seconds: number) => new TooManyRequests('registrations', seconds)
