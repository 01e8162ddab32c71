import type { Logger } from 'pino'
import type { Database } from '../database/connect.ts'
import * as expired from '../stores/expired.ts'
import { type Recurrence, recur } from './recurrence.ts'

const everyMs = 60_000
const batchSize = 500

/** Deletes what expired, a batch at a time. Nothing depends on it: what expired is refused before it is deleted. */
export function startSweeping({ database: { db }, log }: { database: Database; log: Logger }): Recurrence {
  return recur(everyMs, {
    async work(isStopped) {
      for (const table of expired.tables) {
        let deleted = batchSize
        while (deleted === batchSize && !isStopped()) deleted = await expired.deleteBatch(db, table, batchSize)
      }
    },
    onFailure: (error) => log.warn({ err: error }, 'sweeping failed, and will be tried again'),
  })
}
