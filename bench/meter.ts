// Loaded into each server before its own code (node --import). Reports what the server has used so far.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { answer } from './ask.ts'

export type Usage = { cpuMs: number; statements: number }
/** The memory in use after a garbage collection, and the memory of the whole process, in bytes. */
export type Memory = { heapUsed: number; rss: number }

let statements = 0
const query = pg.Client.prototype.query as (...args: unknown[]) => unknown
pg.Client.prototype.query = function counted(this: pg.Client, ...args: unknown[]) {
  statements += 1
  return query.apply(this, args)
} as typeof pg.Client.prototype.query

answer<{ usage?: true; memory?: true }>(async ({ usage, memory }) => {
  if (memory) {
    for (let times = 0; times < 3; times++) {
      await sleep(50) // deferred work of requests ends, and its memory can be collected
      globalThis.gc?.()
    }
    const { heapUsed, rss } = process.memoryUsage()
    return { heapUsed, rss } satisfies Memory
  }
  if (!usage) return undefined
  const { user, system } = process.cpuUsage()
  return { cpuMs: (user + system) / 1000, statements } satisfies Usage
})
