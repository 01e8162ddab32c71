import type { Adapter } from 'oidc-provider'
import { sha256 } from '../../crypto/digests.ts'
import * as clientRecords from '../../stores/clients/records.ts'
import * as registrationTokens from '../../stores/clients/registration-tokens.ts'
import { enginePolicy } from '../registration/by-client.ts'
import { hashOf } from '../request/payloads.ts'
import type { Permission } from '../request/registration.ts'
import type { Storage } from '../request/storage.ts'
import { current, type Work } from '../request/work.ts'

const policies = [enginePolicy]

/** Records what the token of a registration request allows. */
function allow(work: Work | undefined, permission: Permission): void {
  if (!work) return
  const { openBearer, count } = work.registration
  work.registration = { step: 'allowed', openBearer, count, permission }
}

/**
 * Creates the adapter of initial access tokens (RFC 7591 §3), which administrators create and the engine only looks up.
 * Finding one does not use it: a use is counted together with the registration that it allows.
 */
export function initialAccessTokenAdapter({ db }: Storage): Partial<Adapter> {
  return {
    async find(value) {
      const work = current()
      if (work && value === work.registration.openBearer) {
        allow(work, { policy: 'open', actor: 'anonymous' })
        return { kind: 'InitialAccessToken', jti: value, policies }
      }
      const token = await registrationTokens.findUsable(db, sha256(value))
      if (!token) return undefined
      const { id: tokenId, policy } = token
      allow(work, { policy, actor: `registration_token:${tokenId}`, tokenId })
      const exp = Math.floor(token.expiresAt.getTime() / 1000)
      return { kind: 'InitialAccessToken', jti: value, exp, policies }
    },
  }
}

/**
 * Creates the adapter of registration access tokens (RFC 7592 §3), artifacts that manage a client. The client is read
 * again, so that no decision rests on what it was before. A client that may not be used cannot be managed, and its
 * token waits.
 */
export function registrationAccessTokenAdapter(storage: Storage, artifacts: Partial<Adapter>): Partial<Adapter> {
  const { db, clients } = storage
  return {
    ...artifacts,

    async find(value) {
      const payload = await artifacts.find?.(value)
      if (!payload) return undefined
      const id = String(payload.clientId)
      const record = await clientRecords.find(db, id)
      clients.forget(id)
      const client = await clients.find(id)
      if (!record || !client) return undefined
      allow(current(), { policy: record.policy, actor: `client:${id}`, client, readAt: record.updatedAt })
      return { ...payload, policies } // whichever release stored it
    },

    // Policies are not stored: the previous release would not know what they mean.
    upsert: async (value, { policies: _, ...payload }, expiresIn) => artifacts.upsert?.(value, payload, expiresIn),

    async destroy(value) {
      const work = current()
      if (work?.endpoint === 'registration') work.writes.registrationTokenHash = hashOf(value)
      else await artifacts.destroy?.(value)
    },
  }
}
