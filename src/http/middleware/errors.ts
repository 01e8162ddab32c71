import type { Middleware } from 'koa'
import { errors } from 'oidc-provider'
import type { Logger } from 'pino'
import { isUnavailable, isUnstorable } from '../../database/connect.ts'
import { isForPrograms } from '../../oidc/endpoints.ts'
import { noteRefusal } from '../../oidc/reasons/noting.ts'
import type { Back } from '../../views/back.ts'
import type { Render } from '../../views/render.ts'
import type { ErrorCode } from '../../views/texts/index.ts'
import { isCutShort, logBadEnd } from '../bad-ends.ts'
import { TooManyRequests } from '../engine/strangers.ts'

const codeByStatus: Record<number, ErrorCode> = {
  403: 'forbidden',
  404: 'not-found',
  405: 'not-possible',
  409: 'already-done',
  410: 'expired',
  429: 'too-many-attempts',
  503: 'unavailable',
}

/** An error's details for the page, as passed to `ctx.throw`: the page to show and the link back. */
type Thrown = { status?: number; page?: ErrorCode; back?: Back }

/**
 * Turns an error into a page or into JSON. Addresses for programs always answer with JSON, and others if the client
 * prefers it. Server errors are logged here, and only here.
 */
export function errorPages({ render, log }: { render: Render; log: Logger }): Middleware {
  return async (ctx, next) => {
    try {
      await next()
      if (ctx.status === 404 && ctx.body === undefined) ctx.throw(404)
    } catch (error) {
      if (isCutShort(ctx.req, error)) {
        logBadEnd(log, error, ctx.state['requestId'])
        ctx.status = 400 // only the log shows it: the client is gone
        return
      }
      noteRefusal(ctx, error)
      const { status: given, page, back } = error as Thrown
      const isForPerson = !isForPrograms(ctx.path) && ctx.accepts('json', 'html') === 'html'
      const isNotFound = error instanceof errors.SessionNotFound
      const status = isUnavailable(error) ? 503 : isNotFound || isUnstorable(error) ? 400 : (given ?? 500)
      if (status >= 500) {
        log.error({ err: error, requestId: ctx.state['requestId'] }, 'request failed')
      }
      if (status === 503) ctx.set('Retry-After', '2')
      if (error instanceof TooManyRequests) ctx.set('Retry-After', String(error.retryAfterSeconds))
      // An error of the engine's classes is answered in its words, even if our own code threw it.
      const said = error instanceof errors.OIDCProviderError && error.expose && !isNotFound ? error : undefined
      const code = isNotFound
        ? 'expired'
        : status >= 500 && status !== 503
          ? 'server-error'
          : (codeByStatus[status] ?? (said ? 'protocol' : 'bad-request'))
      ctx.status = status
      ctx.set('Cache-Control', 'no-store')
      if (isForPerson) {
        ctx.type = 'html'
        ctx.body = render('error', {
          code: page ?? code,
          reference: ctx.state['requestId'],
          developer: undefined,
          error: said?.error,
          errorDescription: said?.error_description,
          back,
        })
      } else {
        ctx.body = {
          error:
            said?.error ??
            (status >= 500 ? (status === 503 ? 'temporarily_unavailable' : 'server_error') : 'invalid_request'),
          ...(said && { error_description: said.error_description }),
          ...(status === 405 && { error_description: (error as Error).message }),
        }
      }
    }
  }
}
