import type { Middleware } from 'koa'
import { errors } from 'oidc-provider'
import type { Logger } from 'pino'
import { isUnavailable, isUnstorable } from '../../database/connect.ts'
import { isForPrograms } from '../../oidc/endpoints.ts'
import { recordRefusal } from '../../oidc/reasons/refusals.ts'
import { readerOf } from '../../oidc/request/reader.ts'
import type { Back } from '../../views/back.ts'
import type { Render } from '../../views/render.ts'
import type { ErrorCode } from '../../views/texts/index.ts'
import { isCutShort, logBadEnd } from '../bad-ends.ts'
import { AllowanceExceeded } from '../engine/strangers.ts'

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
      const requestId = ctx.state['requestId']
      if (isCutShort(ctx.req, error)) {
        logBadEnd(log, error, requestId)
        ctx.status = 400 // only the log shows it: the client is gone
        return
      }
      recordRefusal(ctx, error)
      const status = statusOf(error)
      if (status >= 500) log.error({ err: error, requestId }, 'request failed')

      ctx.status = status
      ctx.set('Cache-Control', 'no-store')
      if (status === 503) ctx.set('Retry-After', '2')
      if (error instanceof AllowanceExceeded) ctx.set('Retry-After', String(error.retryAfterSeconds))
      const isForPerson = !isForPrograms(ctx.path) && ctx.accepts('json', 'html') === 'html'
      if (!isForPerson) {
        ctx.body = jsonOf(error, status)
        return
      }
      const { page, back } = error as Thrown
      const protocolError = asProtocolError(error)
      ctx.type = 'html'
      ctx.body = render(readerOf(ctx), 'error', {
        code: page ?? codeOf(error, status),
        reference: requestId,
        developer: undefined,
        error: protocolError?.error,
        errorDescription: protocolError?.error_description,
        back,
      })
    }
  }
}

function statusOf(error: unknown): number {
  if (isUnavailable(error)) return 503
  if (error instanceof errors.SessionNotFound || isUnstorable(error)) return 400
  return (error as Thrown).status ?? 500
}

/** Returns an error of the engine's classes, whose own words the answer uses, even if our code threw it. */
function asProtocolError(error: unknown): errors.OIDCProviderError | undefined {
  const isProtocolError = error instanceof errors.OIDCProviderError && !(error instanceof errors.SessionNotFound)
  return isProtocolError && error.expose ? error : undefined
}

function codeOf(error: unknown, status: number): ErrorCode {
  if (error instanceof errors.SessionNotFound) return 'expired'
  if (status >= 500 && status !== 503) return 'server-error'
  return codeByStatus[status] ?? (asProtocolError(error) ? 'protocol' : 'bad-request')
}

function jsonOf(error: unknown, status: number): { error: string; error_description?: string | undefined } {
  const protocolError = asProtocolError(error)
  if (protocolError) return { error: protocolError.error, error_description: protocolError.error_description }
  if (status === 503) return { error: 'temporarily_unavailable' }
  if (status >= 500) return { error: 'server_error' }
  return { error: 'invalid_request', ...(status === 405 && { error_description: (error as Error).message }) }
}
