import type { Logger } from 'pino'
import type { Acting } from '../accounts/acting.ts'
import * as deletion from '../accounts/deletion.ts'
import type { Database } from '../database/connect.ts'
import * as deletions from '../stores/people/deletions.ts'
import { type Recurrence, recur } from './recurrence.ts'

const aMinute = 60_000
const batchSize = 50

/** Starts deleting accounts whose owners asked for it and did not come back in time. */
export function startDeletingAccounts({
  database: { db },
  act,
  log,
  everyMs = aMinute,
}: {
  database: Database
  act: Acting
  log: Logger
  everyMs?: number
}): Recurrence {
  const onFailure = (error: unknown) =>
    log.warn({ err: error }, 'an account could not be deleted, and will be tried again')

  return recur(everyMs, {
    async work(isStopped) {
      for (const id of await deletions.findDue(db, batchSize)) {
        if (isStopped()) return
        // Each in a transaction of its own, so that a failure does not block the others.
        await act({ actor: 'system' }, (context) => deletion.complete(context, id)).catch(onFailure)
      }
    },
    onFailure,
  })
}
