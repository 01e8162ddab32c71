import * as accounts from '../stores/people/accounts.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import type { AccountTx } from './acting.ts'

/**
 * Redeems a code that was mailed to a person who has already given a first factor, in the browser that asked for it. Returns
 * `false` if it is not valid for this account, or if the account's address was never proven.
 */
export async function useMailedCode(
  { tx, envelope, record }: AccountTx,
  accountId: string,
  { presented, browserHash }: { presented: confirmations.Presented; browserHash: Buffer },
): Promise<boolean> {
  const account = await accounts.lock(tx, accountId)
  if (!account?.emailVerified) return false
  const redeemed = await confirmations.redeem(tx, envelope, presented, { purposes: ['sign-in'], browserHash })
  if (redeemed?.accountId !== accountId) return false
  record({ type: 'sign_in.second_factor', accountId, details: { method: 'mail' } })
  return true
}
