// Loaded into each server ahead of its own code (node --import): tells what it has used so far.
import pg from 'pg'
import { answer } from './ask.ts'

export type Usage = { cpuMs: number; statements: number }

let statements = 0
const query = pg.Client.prototype.query as (...args: unknown[]) => unknown
pg.Client.prototype.query = function counted(this: pg.Client, ...args: unknown[]) {
  statements += 1
  return query.apply(this, args)
} as typeof pg.Client.prototype.query

answer<{ usage?: true }>(async ({ usage }) => {
  if (!usage) return undefined
  const { user, system } = process.cpuUsage()
  return { cpuMs: (user + system) / 1000, statements } satisfies Usage
})
