import * as accounts from '../stores/people/accounts.ts'
import type { AccountTx } from './acting.ts'

/** Notes that the owner of an account accepted the terms of a version, and when. Accepting them again changes nothing. */
export async function acceptTerms({ tx, record }: AccountTx, accountId: string, version: string): Promise<void> {
  const account = await accounts.lock(tx, accountId)
  if (!account || account.terms?.version === version) return
  await accounts.acceptTerms(tx, accountId, version)
  record({ type: 'account.terms_accepted', accountId, details: { terms: version } })
}
