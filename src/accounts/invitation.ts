import * as accounts from '../stores/people/accounts.ts'
import type { AccountTx } from './acting.ts'

export type Invited = { email: string; profile: Record<string, unknown>; invitedBy?: string | undefined }

/**
 * Creates an account without a password, and mails a link to choose one. If the account waits for its owner already, the
 * mail is sent again. `'email-taken'` if the account of this address has a password, or is disabled.
 */
export async function invite(
  { tx, record, mail }: Pick<AccountTx, 'tx' | 'record' | 'mail'>,
  { email, profile, invitedBy }: Invited,
): Promise<accounts.Account | 'email-taken'> {
  const created = await accounts.create(tx, { email, emailVerified: false, profile })
  const account = created === 'email-taken' ? await findWaiting(tx, email) : created
  if (!account) return 'email-taken'
  const isAgain = created === 'email-taken'
  record({ type: 'account.invited', accountId: account.id, ...(isAgain && { details: { again: true } }) })
  mail({ kind: 'invitation', to: account.email, accountId: account.id, ...(invitedBy !== undefined && { invitedBy }) })
  return account
}

/** Finds an account that was made by an invitation and that nobody has signed in to yet. */
async function findWaiting(tx: Parameters<typeof accounts.lock>[0], email: string) {
  const found = await accounts.findCredentials(tx, email)
  if (!found || found.account.isDisabled || found.passwordHash !== undefined) return undefined
  return accounts.lock(tx, found.account.id)
}
