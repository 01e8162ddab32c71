import type { Middleware } from 'koa'
import { networkOf } from '../../authentication/networks.ts'
import { keyedHash } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import type { Secret } from '../../secret.ts'
import * as throttles from '../../stores/throttles.ts'

/** Slows down whoever guesses user codes: they are short (RFC 8628 §5.1). Codes that exist cost nothing. */
export function throttleUserCodes({ db, throttleKey }: { db: Db; throttleKey: Secret<Buffer> }): Middleware {
  return async (ctx, next) => {
    if (ctx.path !== '/device' || ctx.method !== 'POST') return next()
    const keyHash = keyedHash(throttleKey, `user code\0${networkOf(ctx.ip)}`)
    const seconds = await throttles.begin(db, [{ keyHash, free: 10, longestDelaySeconds: 300 }])
    if (seconds > 0) {
      ctx.set('Retry-After', String(seconds))
      ctx.throw(429, 'Too many codes were tried.')
    }
    await next()
    if (ctx.state['isUserCodeKnown'] || ctx.status === 303) {
      await throttles.succeed(db, { cleared: [], refunded: [keyHash] })
    }
  }
}
