import { z } from 'zod'
import { secret } from '../secret.ts'
import type { AuditedTx } from '../stores/operations/audit.ts'
import * as accounts from '../stores/people/accounts.ts'

const shortest = 8 // NIST SP 800-63B §3.1.1.2 requires at least this
const longest = 1_024

/** A password that an account may have. */
export const password = z
  .string()
  .min(shortest, `must have at least ${shortest} characters`)
  .max(longest)
  .transform((value) => secret(value))
  .meta({ secret: true })

/**
 * Sets the password of an account and signs it out everywhere, because somebody who knew the old password may be signed
 * in. Returns `false` if the account does not exist.
 */
export async function set({ tx, record }: AuditedTx, accountId: string, hash: string): Promise<boolean> {
  // This comes first because deleting an account locks the account before its password.
  if (!(await accounts.signOutEverywhere(tx, accountId))) return false
  await accounts.setPasswordHash(tx, accountId, hash)
  record({ type: 'account.password_set', accountId })
  return true
}
