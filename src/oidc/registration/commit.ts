import { errors } from 'oidc-provider'
import type { Tx } from '../../database/schema.ts'
import { Refused } from '../../registration/refusal.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as clientRecords from '../../stores/clients/records.ts'
import * as registrationTokens from '../../stores/clients/registration-tokens.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as artifacts from '../../stores/protocol/artifacts.ts'
import type { Stage } from '../../stores/protocol/stages.ts'
import type { Storage } from '../request/storage.ts'
import type { Permission, Registration, RequestScope } from '../request/work.ts'
import { assertRoom, originUnder } from './by-administrator.ts'
import { toError } from './by-client.ts'
import { endWhatWasNarrowed } from './narrowed.ts'

/** Whether no administrator had a part in it: a change by the client itself, or a client that nobody made a token for. */
function isByStranger(type: string, permission: Permission | undefined): boolean {
  return type === 'client.updated' || permission?.actor === 'anonymous' || permission?.policy === 'open'
}

type Given = { tx: Tx; storage: Storage; registration: Registration }

/**
 * Applies what a registration request staged, in one transaction: the token is redeemed together with what it was used
 * for, and the line in the audit stands or falls with it. Of concurrent requests with one token, as many win as it is
 * good for, and those that lose leave nothing.
 *
 * @returns `undefined` when it took effect; else the error to answer instead.
 */
export async function commitRegistration(
  storage: Storage,
  { registration, requestId, address }: RequestScope,
  stage: Stage,
): Promise<errors.OIDCProviderError | undefined> {
  const { saved, destroyed } = registration
  const clientId = saved?.client_id ?? destroyed
  try {
    await storage.db.transaction().execute(async (tx) => {
      const given = { tx, storage, registration }
      await redeem(given, clientId)
      const event = clientId === undefined ? undefined : await change(given, clientId)
      if (event) {
        const about = { clientId, actor: registration.permission?.actor, requestId, address }
        const isEphemeral = isByStranger(event.type, registration.permission)
        await audit.append(tx, [{ ...event, ...about, isByStranger: isEphemeral }])
      }
      await storage.applyIn(tx, stage)
    })
  } catch (error) {
    if (error instanceof Refused) return toError(error.refusal)
    if (error instanceof errors.OIDCProviderError) return error
    throw error
  } finally {
    if (clientId !== undefined) storage.clients.forget(clientId)
  }
  return undefined
}

/** A registration access token is good for one change. The client is locked first, in the order its deletion does. */
async function redeem({ tx, registration: { redeemedTokenHash } }: Given, clientId: string | undefined): Promise<void> {
  if (!redeemedTokenHash) return
  if (clientId !== undefined) await clients.lock(tx, clientId)
  if (!(await artifacts.destroy(tx, 'RegistrationAccessToken', redeemedTokenHash))) throw used('registration')
}

async function change(given: Given, clientId: string): Promise<audit.AuditEvent> {
  const { tx, storage, registration } = given
  const { saved, destroyed, permission, policy } = registration
  if (destroyed !== undefined) {
    if (!(await clients.destroy(tx, destroyed))) throw used('registration')
    return { type: 'client.deleted' }
  }
  if (!saved || !permission || !policy) throw new Error(`The client ${clientId} was saved without having been judged.`)
  if (permission.client) return update(given, saved, permission)

  const { tokenId } = permission
  if (tokenId !== undefined && !(await registrationTokens.use(tx, tokenId))) throw used('initial')
  await assertRoom(tx, policy)
  await registration.count?.(tx)
  const origin = { isDynamic: true, registrationTokenId: tokenId, ...originUnder(policy) }
  await clients.save(tx, storage.envelope, saved, origin)
  return { type: 'client.registered', details: { policy: policy.name } }
}

async function update(
  { tx, storage, registration }: Given,
  saved: clients.ClientMetadata,
  { policy, client, readAt }: Permission,
): Promise<audit.AuditEvent> {
  const { client_id: id } = saved
  const record = await clientRecords.find(tx, id)
  if (!record || record.isDisabled) throw used('registration')
  if (record.updatedAt.getTime() !== readAt?.getTime()) {
    throw new errors.InvalidRequest('the client was changed meanwhile: read it and try again', 409)
  }
  const { secret } = registration
  const isReplaced = secret?.isReplacement === true
  const metadata = isReplaced ? { ...saved, ...secretsOf(client) } : saved
  await clients.save(tx, storage.envelope, metadata, { isDynamic: true, policy })
  await endWhatWasNarrowed(tx, id, record.metadata, metadata)
  if (isReplaced) {
    await clients.rotateSecret(tx, storage.envelope, id, {
      secret: secret.value,
      secretExpiresAtSeconds: secret.expiresAtSeconds,
      overlapSeconds: Number.POSITIVE_INFINITY, // until its own end
    })
  }
  return { type: 'client.updated', details: { policy, ...(secret && { secret: isReplaced ? 'replaced' : 'made' }) } }
}

const secretsOf = (client: Permission['client']) => ({
  client_secret: client?.secret?.reveal(),
  client_secret_expires_at: client?.metadata['client_secret_expires_at'],
})

const used = (kind: 'initial' | 'registration') => new errors.InvalidToken(`${kind} access token was already used`)
