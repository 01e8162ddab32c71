import { sha256 } from '../../crypto/digests.ts'
import type { Basis, Stage } from '../../stores/protocol/stages.ts'
import { kindOf } from '../endpoints.ts'
import type { Work } from './work.ts'

/**
 * Returns what the writes of a request depend on, as it was read: the session that the browser presented, the account
 * with the epoch of its sign-in, and the client. `undefined` where nobody is signed in, so that nothing is given. A
 * token request depends instead on the code or token that it redeems: whatever ends what was issued deletes that under
 * the same locks.
 *
 * @throws Error when something would be given that depends on nothing.
 */
export function basisOf(
  { endpoint, reads: { signIn, sessions, clients } }: Work,
  clientId: string | undefined,
  change: Stage['session'],
): Basis | undefined {
  if (!kindOf(endpoint).isInteractive || clientId === undefined) return undefined
  const presented = [...sessions.values()].find(({ presentedId }) => presentedId !== undefined)
  const accountId = change?.accountId ?? presented?.found.accountId
  if (accountId === undefined) return undefined

  const known = presented?.found.account
  const proof = [signIn, known && { accountId: known.id, epoch: known.epoch }].find((p) => p?.accountId === accountId)
  const updatedAtMs = clients.get(clientId)?.updatedAtMs
  if (!proof) throw new Error('A session would be given an account that nobody signed in to.')
  if (updatedAtMs === undefined) throw new Error(`The client ${clientId} was not read in this request.`)
  return {
    client: { id: clientId, updatedAtMs },
    account: { id: accountId, epoch: proof.epoch },
    session: change?.isNew || !presented ? undefined : originOf(presented),
  }
}

/** @throws Error when a person's decision would be stored at an endpoint whose writes do not depend on their sign-in. */
export function assertDecisionRests({ endpoint, writes: { decision } }: Work, clientId: string | undefined): void {
  if (decision?.accountId === undefined || (clientId !== undefined && kindOf(endpoint).isInteractive)) return
  throw new Error(`A ${decision.model} is decided at an endpoint of the kind ${endpoint}, which is not interactive.`)
}

type Presented = Work['reads']['sessions'] extends Map<string, infer Entry> ? Entry : never

/** Returns how a request found a session, and whose session it was then. */
export function originOf({ found, presentedId }: Presented): NonNullable<Basis['session']> {
  return {
    uid: found.uid,
    presentedHash: presentedId === undefined ? undefined : sha256(presentedId),
    accountId: found.accountId,
  }
}
