import type { Logger } from 'pino'
import type { Database } from '../database/connect.ts'
import * as expired from '../stores/expired.ts'

const everyMs = 60_000
const batchSize = 500

/** Deletes what expired, a batch at a time. Nothing depends on it: what expired is refused before it is deleted. */
export function startSweeping({ database: { db }, log }: { database: Database; log: Logger }): {
  stop(): Promise<void>
} {
  let isStopped = false
  let timer: NodeJS.Timeout
  let running = Promise.resolve()

  async function sweep(): Promise<void> {
    try {
      for (const table of expired.tables) {
        let deleted = batchSize
        while (deleted === batchSize && !isStopped) deleted = await expired.deleteBatch(db, table, batchSize)
      }
    } catch (error) {
      if (!isStopped) log.warn({ err: error }, 'sweeping failed, and will be tried again')
    }
    if (!isStopped) schedule()
  }

  function schedule(): void {
    timer = setTimeout(
      () => {
        running = sweep()
      },
      everyMs * (0.5 + Math.random()),
    ).unref() // processes take turns rather than start together
  }

  schedule()
  return {
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await running
    },
  }
}
