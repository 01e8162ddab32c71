import type { AuditedTx } from '../stores/operations/audit.ts'
import * as artifacts from '../stores/protocol/artifacts.ts'
import * as sessions from '../stores/protocol/sessions.ts'

/** An app that a person signed in to in a session, and the name of the session there. */
export type SignedInApp = { clientId: string; sid: string }

/**
 * Ends sessions of an account, one or all but one, with the tokens issued in them. Offline access stays, as after any
 * sign-out. Returns the apps to notify, or `'no-session'` if the account has no such session.
 */
export async function end({ tx, record }: AuditedTx, ending: sessions.Ending): Promise<SignedInApp[] | 'no-session'> {
  const ended = await sessions.end(tx, ending)
  if (ended.length === 0) return 'no-session'
  const apps = ended.flatMap(({ uid, authorizations }) =>
    Object.entries(authorizations as Record<string, { sid?: string; grantId?: string }>).map(
      ([clientId, { sid, grantId }]) => ({ clientId, sid, grantId, sessionUid: uid }),
    ),
  )
  // In the order of the grants, as every request locks them.
  for (const { grantId, sessionUid } of apps.toSorted((a, b) => (String(a.grantId) < String(b.grantId) ? -1 : 1))) {
    if (grantId) await artifacts.revoke(tx, { grantId, sessionUid })
  }
  for (const _ of ended) record({ type: 'session.ended', accountId: ending.accountId })
  return apps.flatMap(({ clientId, sid }) => (sid ? [{ clientId, sid }] : []))
}
