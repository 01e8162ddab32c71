import type { Middleware } from 'koa'
import type { Logger } from 'pino'
import { loggedPath } from '../../oidc/endpoints.ts'

/** One line a request, without what it carried; of one that was refused, with the reason. */
export function logRequests(log: Logger): Middleware {
  return async (ctx, next) => {
    const startedAt = performance.now()
    try {
      await next()
    } finally {
      log.info(
        {
          requestId: ctx.state['requestId'],
          method: ctx.method,
          path: loggedPath(ctx.path),
          status: ctx.status,
          durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
          address: ctx.ip,
          ...ctx.state['reason'],
        },
        'request',
      )
    }
  }
}
