import { printable, type Style } from './style.ts'

type LogRecord = Readonly<Record<string, unknown>>

const levels: Record<number, keyof typeof emphases> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
}
const emphases = { trace: 'dim', debug: 'dim', info: 'bold', warn: 'yellow', error: 'red', fatal: 'red' } as const
const ofEveryLine = ['level', 'time', 'pid', 'msg', 'err']

/** Writes a record of the log as a line for a person at a terminal. `postern explain` shows more about a request. */
export function lineOf(record: LogRecord, style: Style): string {
  const time = style.dim(new Date(Number(record['time'])).toTimeString().slice(0, 8))
  return `${time} ${record['msg'] === 'request' ? requestLine(record, style) : eventLine(record, style)}`
}

function requestLine(record: LogRecord, style: Style): string {
  const status = Number(record['status'])
  const isRefused = status >= 400 || record['reason'] !== undefined // some refusals reach the app by a redirect
  const emphasis = status >= 500 ? style.red : isRefused ? style.yellow : style.green
  const words = [
    text(record['method']).padEnd(4),
    text(record['path']),
    emphasis(text(status)),
    ...(record['durationMs'] === undefined ? [] : [`${Math.round(Number(record['durationMs']))} ms`]),
    style.dim(text(record['address'])),
  ]
  if (record['reason'] !== undefined) words.push(emphasis(text(record['reason'])))
  if (isRefused && record['requestId'] !== undefined) words.push(style.dim(`id ${text(record['requestId'])}`))
  return words.join('  ')
}

function eventLine(record: LogRecord, style: Style): string {
  const level = levels[Number(record['level'])] ?? 'info'
  const details = Object.entries(record).filter(([name, value]) => !ofEveryLine.includes(name) && value !== undefined)
  const { message, stack } = (record['err'] ?? {}) as { message?: unknown; stack?: unknown }
  return [
    style[emphases[level]](level),
    ` ${text(record['msg'])}`,
    message === undefined ? '' : `: ${text(message)}`,
    ...details.map(([name, value]) => `  ${text(name)}=${shortened(text(value))}`),
    ...(level === 'error' || level === 'fatal' ? placesIn(stack).map((place) => `\n${style.dim(place)}`) : []),
  ].join('')
}

const longestDetail = 120 // characters; the JSON has the whole
const shortened = (value: string) => (value.length > longestDetail ? `${value.slice(0, longestDetail)}…` : value)
const placesIn = (stack: unknown) => (typeof stack === 'string' ? stack.split('\n').slice(1).map(text) : [])

const text = (value: unknown) => printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
