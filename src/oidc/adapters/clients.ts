import type { Adapter, AdapterPayload } from 'oidc-provider'
import * as clients from '../../stores/clients/clients.ts'
import { assertAllowed, registering, withPolicy } from '../registration/by-client.ts'
import { withOpenScopes } from '../registration/metadata.ts'
import { assertPermitted } from '../request/registration.ts'
import type { Storage } from '../request/storage.ts'
import { current } from '../request/work.ts'

/**
 * Clients, read through the cache. What a client registers or changes by itself is judged here, on the
 * effective metadata, because every path of dynamic registration ends here.
 */
export function clientAdapter(storage: Storage): Partial<Adapter> {
  const { db, clients: cache } = storage
  return {
    async find(id) {
      const client = await cache.find(id)
      // What is stored of a client with a document is only what that said last.
      return client && !client.isDocument ? (withOpenScopes(clients.withSecret(client)) as AdapterPayload) : undefined
    },

    async upsert(_id, payload) {
      const work = registering()
      const judged = await withPolicy(storage, work)
      const { scope } = judged
      const metadata = { ...defined(payload), ...(scope !== undefined && { scope }) } as clients.ClientMetadata
      assertAllowed(storage, judged, metadata)
      work.registration = { ...judged, step: 'saved', metadata }
    },

    async destroy(id) {
      const work = current()
      if (work?.endpoint === 'registration') {
        work.registration = { ...assertPermitted(work.registration), step: 'deleted', clientId: id }
      } else await db.transaction().execute((tx) => clients.destroy(tx, id))
      cache.forget(id)
    },
  }
}

// The engine's metadata has members that are `undefined`; its schema refuses the `null` they would come back as.
function defined(payload: AdapterPayload): Record<string, unknown> {
  return Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined && value !== null))
}
