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
 * Clients by id, kept in process. A change anywhere is heard at once by notification; in case one is lost,
 * what changed lately is asked for every two seconds, and if even that fails nothing older than five is used.
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
    loading.delete(id) // what is being read may be from before the change
  }
  const notifications = listen(database, changes.changedChannel, forget)

  async function check(): Promise<void> {
    const now = Date.now()
    try {
      for (const { id, updatedAtMs } of await changes.changedSince(db, new Date(startedAt - clockSkewMs))) {
        if (known.get(id)?.updatedAtMs !== updatedAtMs) forget(id) // else it was read since
      }
      checkedAt = now
      startedAt = now
    } catch {
      // Until a check succeeds again, what is known grows stale and `find` asks the database itself.
    }
    timer = setTimeout(check, checkEveryMs).unref()
  }
  timer = setTimeout(check, checkEveryMs).unref()

  async function load(id: string): Promise<clients.ActiveClient | undefined> {
    const pending = clients.findActive(db, envelope, id)
    loading.set(id, pending)
    try {
      const found = await pending
      // One that was never used may be gone without a trace, and so without being found among what changed.
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
