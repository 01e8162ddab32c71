import type { Account } from '../stores/people/accounts.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as deletions from '../stores/people/deletions.ts'
import type { AccountTx } from './acting.ts'
import * as removal from './removal.ts'
import { end as endSessions, type SignedInApp } from './sessions.ts'

/**
 * Schedules the deletion of an account and signs it out everywhere. Until then its owner can come back, and nobody can use
 * it. Returns the apps to notify, or `'not-possible'` if the deletion is scheduled already.
 */
export async function schedule(
  context: AccountTx,
  account: Account,
  at: Date,
): Promise<SignedInApp[] | 'not-possible'> {
  const { tx, record, mail } = context
  if (!(await deletions.schedule(tx, account.id, at))) return 'not-possible'
  const apps = await endSessions(context, { accountId: account.id, exceptUid: undefined })
  await accounts.signOutEverywhere(tx, account.id)
  record({ type: 'account.deletion_scheduled', accountId: account.id, details: { at: at.toISOString() } })
  mail({ kind: 'account-deletion-scheduled', to: account.email, accountId: account.id, at: at.toISOString() })
  return apps === 'no-session' ? [] : apps
}

/** Cancels the deletion of an account. Returns `false` if none is scheduled. */
export async function cancel({ tx, record }: AccountTx, accountId: string): Promise<boolean> {
  if (!(await deletions.cancel(tx, accountId))) return false
  record({ type: 'account.deletion_cancelled', accountId })
  return true
}

/**
 * Erases an account whose time to come back is over, also from the audit: its owner asked for it. Returns `false` if its
 * owner came back.
 */
export async function complete(context: AccountTx, accountId: string): Promise<boolean> {
  const account = await deletions.lockDue(context.tx, accountId)
  if (!account) return false
  await removal.erase(context, accountId)
  const { locale } = account.profile
  context.mail({
    kind: 'account-deleted',
    to: account.email,
    ...(typeof locale === 'string' && { language: locale }),
  })
  return true
}
