import { errors } from 'oidc-provider'
import { randomId, sha256 } from '../../crypto/digests.ts'
import { isUnavailable, isUnstorable } from '../../database/connect.ts'
import * as artifacts from '../../stores/protocol/artifacts.ts'
import type { Stage } from '../../stores/protocol/stages.ts'
import { commitRegistration } from '../registration/commit.ts'
import { basisOf } from '../request/basis.ts'
import { type Storage, stageOf, TemporarilyUnavailable } from '../request/storage.ts'
import type { RequestScope } from '../request/work.ts'

/**
 * Applies what a request staged, after the engine has answered and before a byte is sent.
 *
 * @returns `undefined` when it took effect; otherwise nothing was written, and it is the error to answer instead, or
 *   `'moved'` when what the request rested on has changed, so that the same request has another answer now.
 */
export async function commit(
  storage: Storage,
  scope: RequestScope,
  { hasFailed, clientId }: { hasFailed: boolean; clientId?: string | undefined },
): Promise<errors.OIDCProviderError | 'moved' | undefined> {
  // A token request that fails later than its code was consumed has not used the code.
  const isWithdrawn = hasFailed && (scope.endpoint === 'token' || scope.endpoint === 'registration')
  const { claim, decision, inserts } = isWithdrawn ? { claim: undefined, decision: undefined, inserts: [] } : scope
  const stage = stageOf({
    client: scope.endpoint === 'token' && !hasFailed ? authenticated(scope, clientId) : undefined,
    basis: basisOf(scope, clientId, scope.session),
    claim,
    decision,
    inserts: (claim ?? decision) && inserts.length === 0 ? [receipt()] : inserts,
    session: scope.session,
    endedSession: scope.endedSession,
    audit: scope.audit,
  })
  if (isWithdrawn) Object.assign(scope.registration, { saved: undefined, destroyed: undefined })
  const { saved, destroyed, redeemedTokenHash } = scope.registration
  const hasRegistration = saved !== undefined || destroyed !== undefined || redeemedTokenHash !== undefined
  try {
    if (hasRegistration) return await commitRegistration(storage, scope, stage)
    const { client, session, endedSession, audit } = stage
    const isEmpty = !client && !stage.inserts.length && !session && !endedSession && !audit.length
    if (isEmpty) return undefined
    const outcome = await storage.apply(stage)
    if (outcome === 'applied') return undefined
    const asking = client ?? stage.basis?.client
    if (outcome === 'lost' || !asking) return lost(scope)
    storage.clients.forget(asking.id) // it may be what has moved
    if (client) return new errors.InvalidClientAuth('the client may not be used, or its credentials were replaced')
    // It is asked again, and is to be answered then.
    if (scope.pushedHash) await artifacts.release(storage.db, 'PushedAuthorizationRequest', scope.pushedHash)
    return 'moved'
  } catch (error) {
    if (isUnavailable(error)) return new TemporarilyUnavailable(error)
    if (isUnstorable(error)) return new errors.InvalidRequest('the request contains a character that cannot be stored')
    throw error
  }
}

/** The client of a token request, and by which of its credentials it was authenticated. */
function authenticated({ clients, isByPreviousSecret }: RequestScope, id: string | undefined): Stage['client'] {
  if (id === undefined) return undefined
  const version = clients.get(id)?.credentialVersion
  return { id, credentialVersion: version !== undefined && isByPreviousSecret ? version - 1 : version }
}

function lost(scope: RequestScope): errors.OIDCProviderError {
  if (scope.endpoint === 'token') {
    // Without a code or token that somebody else could have used, it was for the client.
    return scope.claim
      ? new errors.InvalidGrant('grant request is invalid')
      : new errors.InvalidClientAuth('client not found')
  }
  return Object.assign(new errors.SessionNotFound('the request was already answered'), { page: 'already-done' })
}

/**
 * A row for a request that redeems something and stores nothing for it, such as a code for a signed token. By
 * its own new row a request knows, when the answer to its write was lost, that it was the one that redeemed it.
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
