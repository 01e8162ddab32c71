import type { IncomingMessage } from 'node:http'
import type { Logger } from 'pino'

// The error codes of Node.js for a client that closes the connection, falls silent, or does not send HTTP.
const byClient = /^(HPE_|ECONNRESET$|ECONNABORTED$|EPIPE$|ERR_HTTP_REQUEST_TIMEOUT$|ERR_STREAM_PREMATURE_CLOSE$)/

/** Returns whether a response could not be sent because of the client. Anybody can cause that as often as they like. */
export function isByClient(error: unknown): boolean {
  return byClient.test(String((error as { code?: unknown } | undefined)?.code ?? ''))
}

/** Returns whether a request could not be read because of the client. An unreachable database causes the same codes. */
export function isCutShort(req: IncomingMessage, error: unknown): boolean {
  return !req.complete && req.destroyed && isByClient(error)
}

/** Logs a request that its client ended early: for debugging only, and without a stack, since the fault is not ours. */
export function logBadEnd(log: Logger, error: unknown, requestId: unknown): void {
  log.debug({ code: (error as { code?: unknown }).code, requestId }, 'a client ended its request early')
}
