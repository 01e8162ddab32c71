import type { Middleware } from 'koa'
import type { Logger } from 'pino'
import { loggedPath } from '../../oidc/endpoints.ts'

/** Logs one line for each request, without its parameters, and with the reason if the request was rejected. */
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
