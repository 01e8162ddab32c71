import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import { judge } from '../registration/policy.ts'
import { complete } from '../registration/rules.ts'
import * as clients from '../stores/clients.ts'
import { withOpenScopes } from './client-metadata.ts'
import { current } from './request-scope.ts'
import { scopes } from './scopes.ts'
import type { Storage } from './storage.ts'

/**
 * Clients, read through the cache. What a client registers or changes by itself is judged here, on the
 * effective metadata, because every path of dynamic registration ends here.
 */
export function clientAdapter({ db, envelope, issuer, clients: cache }: Storage): Partial<Adapter> {
  return {
    async find(id) {
      const client = await cache.find(id)
      return client && (withOpenScopes(client.metadata) as AdapterPayload)
    },

    async upsert(_id, payload) {
      const metadata = withoutUndefined(payload) as clients.ClientMetadata
      const refusal = judge(metadata, {
        policy: complete('default'),
        isLoopbackIssuer: issuer.startsWith('http:'),
        openScopes: Object.keys(scopes),
      })
      if (refusal) throw new errors.InvalidClientMetadata(refusal.message)
      const scope = current()
      if (scope?.endpoint === 'registration') scope.registration.saved = metadata
      else
        await db
          .transaction()
          .execute((tx) => clients.save(tx, envelope, metadata, { isDynamic: true, policy: 'default' }))
    },

    async destroy(id) {
      const scope = current()
      if (scope?.endpoint === 'registration') scope.registration.destroyed = id
      else await db.transaction().execute((tx) => clients.destroy(tx, id))
      cache.forget(id)
    },
  }
}

// The engine's metadata has members that are `undefined`; its schema refuses the `null` they would come back as.
function withoutUndefined(payload: AdapterPayload): Record<string, unknown> {
  return Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined && value !== null))
}
