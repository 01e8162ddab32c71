import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from './config.ts'

/**
 * Structured logs, a JSON object a line. Of an error only its kind, message, code and stack are written: a
 * database error also carries the row it failed on, and that may be a secret.
 */
export function createLogger(level: Config['LOG_LEVEL'], destination?: DestinationStream): Logger {
  const options = { level, base: { pid: process.pid }, serializers: { err: describeError } }
  return destination ? pino(options, destination) : pino(options)
}

/**
 * Ends the process at an exception that nobody caught, as Node.js does, which however prints all that an error carries;
 * and with the report that it would write.
 */
export function endAtFaults(log: Logger): void {
  process.on('uncaughtException', (error: unknown) => {
    log.fatal({ err: error }, 'this process ends, because nobody caught an exception')
    const { report } = process
    if (report.reportOnUncaughtException) report.writeReport(Object.assign(new Error(), describeError(error)))
    process.exit(1)
  })
}

function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name, message, stack, cause } = error
  const { code } = error as { code?: unknown }
  return {
    name,
    message: withoutExcerpt(message),
    ...(typeof code === 'string' && { code }),
    stack: withoutExcerpt(stack ?? ''),
    ...(cause !== undefined && { cause: describeError(cause) }),
  }
}

/** What JSON.parse() says, without what it could not parse: of a short text that is all of it. */
export function withoutExcerpt(text: string): string {
  return text.replace(/, (\.{3})?".*"(\.{3})? is not valid JSON/gs, ' in what is not valid JSON')
}
