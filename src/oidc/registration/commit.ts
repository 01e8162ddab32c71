import { errors } from 'oidc-provider'
import type { Tx } from '../../database/schema.ts'
import { ClientRefused } from '../../registration/refusal.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as credentials from '../../stores/clients/credentials.ts'
import * as clientRecords from '../../stores/clients/records.ts'
import * as registrationTokens from '../../stores/clients/registration-tokens.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as artifacts from '../../stores/protocol/artifacts.ts'
import type { Stage } from '../../stores/protocol/stages.ts'
import { changedClientId, type Permission, type Registration } from '../request/registration.ts'
import type { Storage } from '../request/storage.ts'
import type { Work } from '../request/work.ts'
import { assertRoom, originUnder } from './by-administrator.ts'
import { toError } from './by-client.ts'
import { endWhatWasNarrowed } from './narrowed.ts'

/** Says whether no administrator took part: a client changed itself, or registered without a token from one. */
function isByStranger(type: string, { actor, policy }: Permission): boolean {
  return type === 'client.updated' || actor === 'anonymous' || policy === 'open'
}

type Given = { tx: Tx; storage: Storage }
type Changed = Extract<Registration, { step: 'saved' | 'deleted' }>
type Saved = Extract<Registration, { step: 'saved' }>

/**
 * Applies what a registration request staged, in one transaction: the token is redeemed and the audit event written
 * only if the registration succeeds. Concurrent requests with one token win as often as the token may be used, and
 * those that lose leave nothing behind.
 *
 * @returns `undefined` when it took effect; otherwise the error to answer instead.
 */
export async function commitRegistration(
  storage: Storage,
  { requestId, address, writes }: Work,
  { stage, registration }: { stage: Stage; registration: Registration | undefined },
): Promise<errors.OIDCProviderError | undefined> {
  const clientId = registration && changedClientId(registration)
  try {
    await storage.db.transaction().execute(async (tx) => {
      await redeem(tx, writes.registrationTokenHash, clientId)
      if (registration?.step === 'saved' || registration?.step === 'deleted') {
        const event = await change({ tx, storage }, registration)
        const { actor } = registration.permission
        const isEphemeral = isByStranger(event.type, registration.permission)
        await audit.append(tx, [{ ...event, clientId, actor, requestId, address, isByStranger: isEphemeral }])
      }
      await storage.applyIn(tx, stage)
    })
  } catch (error) {
    if (error instanceof ClientRefused) return toError(error.refusal)
    if (error instanceof errors.OIDCProviderError) return error
    throw error
  } finally {
    if (clientId !== undefined) storage.clients.forget(clientId)
  }
  return undefined
}

/**
 * Redeems a registration access token, which allows one change. Locks the client first, in the order its deletion does.
 */
async function redeem(tx: Tx, tokenHash: Buffer | undefined, clientId: string | undefined): Promise<void> {
  if (!tokenHash) return
  if (clientId !== undefined) await clients.lock(tx, clientId)
  if (!(await artifacts.destroy(tx, 'RegistrationAccessToken', tokenHash))) throw used('registration')
}

async function change(given: Given, registration: Changed): Promise<audit.AuditEvent> {
  const { tx, storage } = given
  if (registration.step === 'deleted') {
    if (!(await clients.destroy(tx, registration.clientId))) throw used('registration')
    return { type: 'client.deleted' }
  }
  const { permission, policy, metadata, count } = registration
  if (permission.client) return update(given, registration)

  const { tokenId } = permission
  if (tokenId !== undefined && !(await registrationTokens.use(tx, tokenId))) throw used('initial')
  await assertRoom(tx, policy)
  await count?.(tx)
  const origin = { isDynamic: true, registrationTokenId: tokenId, ...originUnder(policy) }
  await clients.save(tx, storage.envelope, metadata, origin)
  return { type: 'client.registered', details: { policy: policy.name } }
}

async function update({ tx, storage }: Given, { permission, metadata, secret }: Saved): Promise<audit.AuditEvent> {
  const { policy, client, readAt } = permission
  const { client_id: id } = metadata
  const record = await clientRecords.find(tx, id)
  if (!record || record.isDisabled) throw used('registration')
  if (record.updatedAt.getTime() !== readAt?.getTime()) {
    throw new errors.InvalidRequest('the client was changed in between: read it and try again', 409)
  }
  const isReplaced = secret?.isReplacement === true
  const kept = isReplaced ? { ...metadata, ...secretsOf(client) } : metadata
  await clients.save(tx, storage.envelope, kept, { isDynamic: true, policy })
  await endWhatWasNarrowed(tx, id, record.metadata, kept)
  if (isReplaced) {
    await credentials.rotateSecret(tx, storage.envelope, id, {
      secret: secret.value,
      secretExpiresAtSeconds: secret.expiresAtSeconds,
      overlapSeconds: Number.POSITIVE_INFINITY, // until the old secret expires by itself
    })
  }
  return { type: 'client.updated', details: { policy, ...(secret && { secret: isReplaced ? 'replaced' : 'made' }) } }
}

const secretsOf = (client: Permission['client']) => ({
  client_secret: client?.secret?.reveal(),
  client_secret_expires_at: client?.metadata['client_secret_expires_at'],
})

const used = (kind: 'initial' | 'registration') => new errors.InvalidToken(`${kind} access token was already used`)
