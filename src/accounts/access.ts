import type { AuditedTx } from '../stores/operations/audit.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as grants from '../stores/protocol/grants.ts'

/** Disables an account, which ends its sessions and tokens. Its consents stay. */
export async function disable({ tx, record }: AuditedTx, accountId: string): Promise<void> {
  await accounts.disable(tx, accountId)
  record({ type: 'account.disabled', accountId })
}

/** Lets a disabled account sign in again. */
export async function enable({ tx, record }: AuditedTx, accountId: string): Promise<void> {
  await accounts.enable(tx, accountId)
  record({ type: 'account.enabled', accountId })
}

/**
 * Revokes a grant with everything issued under it. Returns `false` if the grant does not exist.
 *
 * @param ofAccount - The account that the grant must belong to, if an account asks for it.
 */
export async function revokeGrant({ tx, record }: AuditedTx, grantId: string, ofAccount?: string): Promise<boolean> {
  const revoked = await grants.destroy(tx, grantId, ofAccount)
  if (!revoked) return false
  record({ type: 'grant.revoked', grantId, accountId: revoked.accountId, clientId: revoked.clientId })
  return true
}

/** Ends all sessions and tokens of an account. `false` if the account does not exist. */
export async function signOut({ tx, record }: AuditedTx, accountId: string): Promise<boolean> {
  if (!(await accounts.signOutEverywhere(tx, accountId))) return false
  record({ type: 'account.signed_out', accountId })
  return true
}
