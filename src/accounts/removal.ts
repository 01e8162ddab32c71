import type { AuditedTx } from '../stores/operations/audit.ts'
import { pseudonymise } from '../stores/operations/audit-retention.ts'
import * as accounts from '../stores/people/accounts.ts'

/** Deletes an account with its sessions, grants and tokens. Its audit events stay as they are. */
export async function destroy({ tx, record }: AuditedTx, accountId: string): Promise<void> {
  await accounts.destroy(tx, accountId)
  record({ type: 'account.deleted', accountId })
}

/**
 * Deletes an account, unless it was deleted earlier, and removes its identity from its audit events.
 *
 * @returns the pseudonym that replaces its ID in these events, and their number. `'no-account'` if there is no trace of such
 * an account.
 */
export async function erase(
  { tx, record }: AuditedTx,
  accountId: string,
): Promise<{ pseudonym: string; events: number } | 'no-account'> {
  const wasThere = await accounts.destroy(tx, accountId)
  const erased = await pseudonymise(tx, accountId)
  if (!wasThere && erased.events === 0) return 'no-account'
  record({ type: 'account.erased', accountId: erased.pseudonym })
  return erased
}
