import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from '../config/index.ts'
import { lineOf } from './lines.ts'
import { type Style, styleFor } from './style.ts'

/**
 * Creates a logger that writes a JSON object a line. It writes only the name, message, code and stack of an error: a
 * database error also carries the row that it failed on, which may contain a secret.
 */
export function createLogger(level: Config['LOG_LEVEL'], destination?: DestinationStream): Logger {
  const options = { level, base: { pid: process.pid }, serializers: { err: describeError } }
  return destination ? pino(options, destination) : pino(options)
}

/**
 * Returns where the log of this process goes: to standard output, as JSON unless a person watches or LOG_FORMAT says
 * otherwise. `undefined` stands for the JSON of the logger itself.
 */
export function logDestination(
  { LOG_FORMAT }: Config,
  output: { isTTY?: boolean; write(text: string): unknown },
  env: Readonly<Record<string, string | undefined>>,
): DestinationStream | undefined {
  const isText = LOG_FORMAT === 'auto' ? output.isTTY === true : LOG_FORMAT === 'text'
  const style: Style = styleFor(output, env)
  const begin = output.isTTY ? '\r\u001b[K' : '' // overwrites the line of a step in progress
  return isText ? { write: (line) => void output.write(`${begin}${lineOf(JSON.parse(line), style)}\n`) } : undefined
}

/**
 * Ends the process at an uncaught exception, and writes the report that Node.js would write. Left alone, Node.js would
 * also print everything that the error carries.
 */
export function endAtFaults(log: Logger): void {
  process.on('uncaughtException', (error: unknown) => {
    log.fatal({ err: error }, 'the process ends because of an uncaught exception')
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

/** Removes the excerpt of the input from a message of JSON.parse(), which quotes a short input as a whole. */
export function withoutExcerpt(text: string): string {
  return text.replace(/, (\.{3})?".*"(\.{3})? is not valid JSON/gs, ' in what is not valid JSON')
}
