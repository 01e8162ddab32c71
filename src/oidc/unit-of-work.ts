import { errors } from 'oidc-provider'
import { randomId, sha256 } from '../crypto/digests.ts'
import { isUnavailable, isUnstorable } from '../database/connect.ts'
import type { Artifact } from '../stores/artifacts.ts'
import * as artifacts from '../stores/artifacts.ts'
import * as clients from '../stores/clients.ts'
import * as registrationTokens from '../stores/registration-tokens.ts'
import type { RequestScope } from './request-scope.ts'
import { type Storage, stageOf, TemporarilyUnavailable } from './storage.ts'

/**
 * Applies what a request staged, after the engine has answered and before a byte is sent.
 *
 * @returns `undefined` when it took effect; else the error to answer instead, with nothing written.
 */
export async function commit(
  storage: Storage,
  scope: RequestScope,
  { hasFailed }: { hasFailed: boolean },
): Promise<errors.OIDCProviderError | undefined> {
  // A token request that fails later than its code was consumed has not used the code.
  const isWithdrawn = hasFailed && (scope.endpoint === 'token' || scope.endpoint === 'registration')
  const { claim, inserts } = isWithdrawn ? { claim: undefined, inserts: [] } : scope
  const stage = stageOf({
    claim,
    inserts: claim && inserts.length === 0 ? [receipt()] : inserts,
    session: scope.session,
    endedSession: scope.endedSession,
    audit: scope.audit,
  })
  if (isWithdrawn) Object.assign(scope.registration, { saved: undefined, destroyed: undefined })
  const { saved, destroyed, redeemedTokenHash } = scope.registration
  const hasRegistration = saved !== undefined || destroyed !== undefined || redeemedTokenHash !== undefined
  try {
    if (hasRegistration) return await register(storage, scope, stage)
    const isEmpty =
      !stage.claim && !stage.inserts.length && !stage.session && !stage.endedSession && !stage.audit.length
    if (isEmpty) return undefined
    return (await storage.apply(stage)) === 'applied' ? undefined : lost(scope)
  } catch (error) {
    if (isUnavailable(error)) return new TemporarilyUnavailable(error)
    if (isUnstorable(error)) return new errors.InvalidRequest('the request contains a character that cannot be stored')
    throw error
  }
}

function lost(scope: RequestScope): errors.OIDCProviderError {
  if (scope.endpoint === 'token') return new errors.InvalidGrant('grant request is invalid')
  return Object.assign(new errors.SessionNotFound('the request was already answered'), { page: 'already-done' })
}

/** A registration access token is redeemed together with what it was used for: of concurrent updates one wins. */
async function register(storage: Storage, scope: RequestScope, stage: ReturnType<typeof stageOf>) {
  const { token, saved, destroyed, redeemedTokenHash } = scope.registration
  const clientId = saved?.client_id ?? destroyed
  const refusal = new errors.InvalidToken(`${token ? 'initial' : 'registration'} access token was already used`)
  try {
    await storage.db.transaction().execute(async (tx) => {
      if (redeemedTokenHash && clientId !== undefined) await clients.lock(tx, clientId)
      if (redeemedTokenHash && !(await artifacts.destroy(tx, 'RegistrationAccessToken', redeemedTokenHash)))
        throw refusal
      if (saved && token && !(await registrationTokens.use(tx, token.id))) throw refusal
      if (saved && (await clients.save(tx, storage.envelope, saved, { isDynamic: true, policy: 'default' })) === 'gone')
        throw refusal
      if (destroyed && !(await clients.destroy(tx, destroyed))) throw refusal
      await storage.applyIn(tx, stage)
    })
  } catch (error) {
    if (error === refusal) return refusal
    throw error
  } finally {
    if (clientId !== undefined) storage.clients.forget(clientId)
  }
  return undefined
}

/**
 * A row for a request that redeems something and stores nothing for it, such as a code for a signed token. By
 * its own new row a request knows, when the answer to its write was lost, that it was the one that redeemed it.
 */
function receipt(): Artifact {
  return {
    model: 'Receipt',
    idHash: sha256(randomId()),
    grantId: undefined,
    family: undefined,
    accountId: undefined,
    clientId: undefined,
    sessionUid: undefined,
    userCodeHash: undefined,
    payload: {},
    expiresAtSeconds: Math.floor(Date.now() / 1000),
  }
}
