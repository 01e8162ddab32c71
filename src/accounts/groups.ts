import { z } from 'zod'
import type { AuditedTx } from '../stores/operations/audit.ts'
import * as groups from '../stores/people/groups.ts'

/** The name of a group, or of a role: whatever apps compare with the `groups` claim. */
export const groupName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{C}\s](?:[^\p{C}]*[^\p{C}\s])?$/u, 'must not have control characters, or spaces at its ends')

/** Adds an account to a group, which begins to exist with its first member. */
export async function add(
  { tx, record }: AuditedTx,
  accountId: string,
  group: string,
): Promise<'added' | 'not-a-list'> {
  const outcome = await groups.add(tx, accountId, group)
  if (outcome === 'added') record({ type: 'account.group_added', accountId, details: { group } })
  return outcome
}

/** Removes an account from a group, which ends with its last member. */
export async function remove({ tx, record }: AuditedTx, accountId: string, group: string): Promise<void> {
  await groups.remove(tx, accountId, group)
  record({ type: 'account.group_removed', accountId, details: { group } })
}
