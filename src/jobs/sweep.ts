import type { Logger } from 'pino'
import type { Database } from '../database/connect.ts'
import * as auditRetention from '../stores/operations/audit-retention.ts'
import * as expired from '../stores/operations/expired.ts'
import { type Recurrence, recur } from './recurrence.ts'

const everyMs = 60_000
const batchSize = 500

/**
 * Starts deleting expired rows in batches. The exact time does not matter: an expired row is rejected before it is
 * deleted.
 */
export function startSweeping({
  database: { db },
  log,
  auditRetentionSeconds = 0,
}: {
  database: Database
  log: Logger
  /** The time that audit events are kept; 0 means forever. */
  auditRetentionSeconds?: number
}): Recurrence {
  const deleteEvents = () =>
    db
      .transaction()
      .execute((tx) => auditRetention.deleteOlder(tx, { seconds: auditRetentionSeconds, limit: batchSize }))
  return recur(everyMs, {
    async work(isStopped) {
      for (const table of expired.tables) {
        let deleted = batchSize
        while (deleted === batchSize && !isStopped()) deleted = await expired.deleteBatch(db, table, batchSize)
      }
      let deleted = auditRetentionSeconds > 0 ? batchSize : 0
      while (deleted === batchSize && !isStopped()) deleted = await deleteEvents()
    },
    onFailure: (error) => log.warn({ err: error }, 'sweeping failed, and will be tried again'),
  })
}
