import type { Adapter, AdapterPayload } from 'oidc-provider'
import * as clients from '../../stores/clients/clients.ts'
import { assertAllowed, registering, withPolicy } from '../registration/by-client.ts'
import { withOidcScopes } from '../registration/metadata.ts'
import { assertPermitted } from '../request/registration.ts'
import type { Storage } from '../request/storage.ts'
import { current } from '../request/work.ts'

/**
 * Creates the adapter of clients, which reads through the cache. Clients that register or change themselves are judged
 * here, by the effective metadata, because every path of dynamic registration ends here.
 */
export function clientAdapter(storage: Storage): Partial<Adapter> {
  const { db, clients: cache } = storage
  return {
    async find(id) {
      const client = await cache.find(id)
      // Only the last version of a metadata document is stored, and `clients/find.ts` decides when that counts.
      return client && !client.isDocument ? (withOidcScopes(clients.withSecret(client)) as AdapterPayload) : undefined
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

// The engine's metadata has members that are `undefined`. They would come back as `null`, which its schema rejects.
function defined(payload: AdapterPayload): Record<string, unknown> {
  return Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined && value !== null))
}
