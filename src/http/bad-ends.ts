import type { IncomingMessage } from 'node:http'
import type { Logger } from 'pino'

// What Node.js calls it when a client closes, falls silent, or sends what is not HTTP.
const byClient = /^(HPE_|ECONNRESET$|ECONNABORTED$|EPIPE$|ERR_HTTP_REQUEST_TIMEOUT$|ERR_STREAM_PREMATURE_CLOSE$)/

/** Whether a response could not be sent because of its client, which anybody can have happen as often as they like. */
export function isByClient(error: unknown): boolean {
  return byClient.test(String((error as { code?: unknown } | undefined)?.code ?? ''))
}

/** Whether reading a request failed because of its client. The same codes also come from a database that is away. */
export function isCutShort(req: IncomingMessage, error: unknown): boolean {
  return !req.complete && req.destroyed && isByClient(error)
}

/** Notes a request that its client ended: for who looks for it, and without a stack, since the fault is not in here. */
export function logBadEnd(log: Logger, error: unknown, requestId: unknown): void {
  log.debug({ code: (error as { code?: unknown }).code, requestId }, 'a client ended its request early')
}
