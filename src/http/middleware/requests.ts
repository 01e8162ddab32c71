import type { Middleware } from 'koa'
import type { Logger } from 'pino'

// Paths that have a value in them which only its holder should know, or which says who somebody is.
const secretPaths = [
  /^(\/interaction)\/[^/]+/i,
  /^(\/oauth\/authorize)\/[^/]+/i,
  /^(\/device)\/[^/]+/i,
  /^(\/oauth\/register)\/[^/]+/i,
  /^(\/admin\/api\/(?!openapi\.json)[a-z-]+)\/[^/]+/i,
]

/** The path of a request as it may be logged: without the query and without identifiers. */
export function loggedPath(path: string): string {
  const found = secretPaths.find((pattern) => pattern.test(path))
  return found ? path.replace(found, '$1/:id') : path
}

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
