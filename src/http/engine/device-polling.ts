import type { Middleware } from 'koa'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { keyedHash } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { routes } from '../../oidc/endpoints.ts'
import { recordRefusal } from '../../oidc/reasons/refusals.ts'
import type { Secret } from '../../secret.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'

const tolerated = 0.9 // of the interval: the network may delay one request more than the next

/**
 * Tells a device how often it may ask for its tokens (RFC 8628 §3.2), and to slow down if it asks more often while the
 * person has not answered (§3.5). The requests are counted in the database, so that all processes count together.
 */
export function devicePolling({
  db,
  throttleKey,
  intervalSeconds,
}: {
  db: Db
  throttleKey: Secret<Buffer>
  intervalSeconds: number
}): Middleware {
  return async (ctx, next) => {
    await next()
    const body = ctx.body as { device_code?: unknown; error?: unknown } | undefined
    if (ctx.path === routes.device_authorization && body?.device_code !== undefined) {
      ctx.body = { ...body, interval: intervalSeconds }
    }
    if (ctx.path !== routes.token || body?.error !== 'authorization_pending') return
    const { params } = (ctx as Partial<KoaContextWithOIDC>).oidc ?? {}
    const keyHash = keyedHash(throttleKey, `polling\0${params?.['device_code']}`)
    const limits = [{ keyHash, most: 1 }]
    if ((await rateLimits.take(db, { limits, windowSeconds: intervalSeconds * tolerated })) === 0) return
    const error = new errors.SlowDown()
    recordRefusal(ctx, error)
    ctx.body = { error: error.error, error_description: error.error_description }
  }
}
