import { errors } from 'oidc-provider'
import { randomId, sha256 } from '../../crypto/digests.ts'
import { isUnavailable, isUnstorable } from '../../database/connect.ts'
import * as artifacts from '../../stores/protocol/artifacts.ts'
import type { Redemption, Stage } from '../../stores/protocol/stages.ts'
import { commitRegistration } from '../registration/commit.ts'
import { basisOf } from '../request/basis.ts'
import { changedClientId } from '../request/registration.ts'
import { type Storage, stageOf, TemporarilyUnavailable } from '../request/storage.ts'
import type { Work } from '../request/work.ts'

/**
 * Applies the writes of a request, after the engine has answered and before a byte is sent.
 *
 * @returns `undefined` when they took effect. Otherwise nothing was written, and it is the error to answer instead, or
 *   `'moved'` when something that the request depends on has changed, so that the same request has another answer now.
 */
export async function commit(
  storage: Storage,
  work: Work,
  { hasFailed, clientId }: { hasFailed: boolean; clientId?: string | undefined },
): Promise<errors.OIDCProviderError | 'moved' | undefined> {
  // A token request that fails after its code was consumed has not used the code.
  const isWithdrawn = hasFailed && (work.endpoint === 'token' || work.endpoint === 'registration')
  const { decision, inserts, session, endedSession, audit, registrationTokenHash } = work.writes
  const redemption = isWithdrawn ? undefined : (work.writes.redemption ?? standingSource(work))
  const hasWon = !isWithdrawn && (redemption ?? decision)
  const stage = stageOf({
    client: work.endpoint === 'token' && !hasFailed ? authenticated(work, clientId) : undefined,
    basis: basisOf(work, clientId, session),
    session,
    endedSession,
    audit,
    ...(!isWithdrawn && { redemption, decision, inserts: hasWon && inserts.length === 0 ? [receipt()] : inserts }),
  })
  const registration = isWithdrawn ? undefined : work.registration
  const clientChanges = registration && changedClientId(registration) !== undefined
  try {
    if (clientChanges || registrationTokenHash) return await commitRegistration(storage, work, { stage, registration })
    const { client } = stage
    const isEmpty = !client && !stage.inserts.length && !session && !endedSession && !audit.length
    if (isEmpty) return undefined
    const outcome = await storage.apply(stage)
    if (outcome === 'applied') return undefined
    const asking = client ?? stage.basis?.client
    if (outcome === 'lost' || !asking) return lost(work)
    storage.clients.forget(asking.id) // it may be what has changed
    if (client) return new errors.InvalidClientAuth('the client may not be used, or its credentials were replaced')
    // The request runs again, and must then find its pushed request.
    if (work.writes.pushedHash)
      await artifacts.release(storage.db, 'PushedAuthorizationRequest', work.writes.pushedHash)
    return 'moved'
  } catch (error) {
    if (isUnavailable(error)) return new TemporarilyUnavailable(error)
    if (isUnstorable(error)) return new errors.InvalidRequest('the request contains a character that cannot be stored')
    throw error
  }
}

/** Returns the client of a token request, and the version of the credentials that authenticated it. */
function authenticated({ reads: { clients, isByPreviousSecret } }: Work, id: string | undefined): Stage['client'] {
  if (id === undefined) return undefined
  const version = clients.get(id)?.credentialVersion
  return { id, credentialVersion: version !== undefined && isByPreviousSecret ? version - 1 : version }
}

/**
 * Returns the code or token for which a token request issues something without redeeming it, such as a refresh token
 * that is not replaced. It must still be valid when that is issued.
 */
function standingSource({ endpoint, reads: { source } }: Work): Redemption | undefined {
  if (endpoint !== 'token' || !source) return undefined
  return { model: source.model, idHash: source.idHash, grantId: source.grantId, how: 'keep' }
}

function lost(work: Work): errors.OIDCProviderError {
  if (work.endpoint === 'token') {
    // Without a code or token that another request could have used, it was the client that changed.
    return work.writes.redemption || work.reads.source
      ? new errors.InvalidGrant('grant request is invalid')
      : new errors.InvalidClientAuth('client not found')
  }
  return Object.assign(new errors.SessionNotFound('the request was already answered'), { page: 'already-done' })
}

/**
 * Creates a row for a request that redeems something and stores nothing for it, such as a code for a signed token. When
 * the answer to its write is lost, its own new row tells the request that it was the one that redeemed.
 */
function receipt(): artifacts.Artifact {
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
