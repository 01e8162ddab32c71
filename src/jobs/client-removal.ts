import type { Logger } from 'pino'
import type { Database } from '../database/connect.ts'
import type { Db } from '../database/schema.ts'
import * as clients from '../stores/clients/clients.ts'
import * as lifetimes from '../stores/clients/lifetimes.ts'
import * as audit from '../stores/operations/audit.ts'
import { type Recurrence, recur } from './recurrence.ts'

const everyMs = 60_000
const batchSize = 50

/**
 * Starts removing clients whose lifetime is over, or that were not used in time. The exact time does not matter: an
 * expired client is rejected before it is removed.
 */
export function startRemovingClients({ database: { db }, log }: { database: Database; log: Logger }): Recurrence {
  const onFailure = (error: unknown) =>
    log.warn({ err: error }, 'a client could not be removed, and will be tried again')

  return recur(everyMs, {
    async work(isStopped) {
      let isMore = true
      while (isMore && !isStopped()) {
        const ids = await lifetimes.findEnded(db, batchSize)
        let removed = 0
        for (const id of ids) {
          if (isStopped()) return
          // Each in a transaction of its own, so that a failure does not block the others.
          if (await remove(db, id).catch(onFailure)) removed += 1
        }
        isMore = ids.length === batchSize && removed > 0
      }
    },
    onFailure,
  })
}

/** Removes a client, unless it no longer has to be removed or another process has locked it. */
function remove(db: Db, id: string): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const ended = await lifetimes.lockEnded(tx, id)
    if (!ended) return false
    if (ended.isJunk) await lifetimes.erase(tx, id)
    else await clients.destroy(tx, id)
    const details = { reason: ended.reason }
    const isByStranger = ended.isJunk // the event of a client that was used is kept forever
    await audit.append(tx, [{ type: 'client.removed', actor: 'system', clientId: id, details, isByStranger }])
    return true
  })
}
