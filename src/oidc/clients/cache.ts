import { createBoundedMap } from '../../bounded-map.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Database } from '../../database/connect.ts'
import { listen } from '../../database/notifications.ts'
import type { Db } from '../../database/schema.ts'
import * as changes from '../../stores/clients/changes.ts'
import * as clients from '../../stores/clients/clients.ts'
import type { ClientCache } from '../request/storage.ts'

const remembered = 20_000 // clients, at some kilobytes each
const checkEveryMs = 2_000
const stalenessMs = 5_000 // the bound promised in docs/operations.md
const clockSkewMs = 60_000 // how far the clocks of two processes may differ

/**
 * Creates the cache that keeps clients by id in the process. A notification reports a change anywhere at once. In case
 * one is lost, recent changes are read every two seconds, and if even that fails, no entry older than five seconds is
 * used.
 */
export function createClientCache({
  database,
  db,
  envelope,
}: {
  database: Database
  db: Db
  envelope: Envelope
}): ClientCache {
  const known = createBoundedMap<string, clients.ActiveClient>(remembered)
  const loading = new Map<string, Promise<clients.ActiveClient | undefined>>()
  let checkedAt = Date.now()
  let startedAt = checkedAt
  let timer: NodeJS.Timeout

  const forget = (id: string) => {
    known.delete(id)
    loading.delete(id) // a read under way may be from before the change
  }
  const notifications = listen(database, changes.changedChannel, forget)

  async function check(): Promise<void> {
    const now = Date.now()
    try {
      for (const { id, updatedAtMs } of await changes.changedSince(db, new Date(startedAt - clockSkewMs))) {
        if (known.get(id)?.updatedAtMs !== updatedAtMs) forget(id) // otherwise it was read since
      }
      checkedAt = now
      startedAt = now
    } catch {
      // Until a check succeeds again, entries become stale and `find` reads the database itself.
    }
    timer = setTimeout(check, checkEveryMs).unref()
  }
  timer = setTimeout(check, checkEveryMs).unref()

  async function load(id: string): Promise<clients.ActiveClient | undefined> {
    const pending = clients.findActive(db, envelope, id)
    loading.set(id, pending)
    try {
      const found = await pending
      // A client that was never used may be deleted without a trace, and then is not among what changed.
      if (found && !found.isUnused && loading.get(id) === pending) known.set(id, found)
      return found
    } finally {
      if (loading.get(id) === pending) loading.delete(id)
    }
  }

  return {
    async find(id) {
      const isFresh = Date.now() - checkedAt < stalenessMs
      const found = isFresh ? known.get(id) : undefined
      if (found && (found.expiresAtMs ?? Number.POSITIVE_INFINITY) > Date.now()) return found
      return (isFresh ? loading.get(id) : undefined) ?? load(id)
    },
    forget,
    async stop() {
      clearTimeout(timer)
      await notifications.stop()
    },
  }
}
