import type { DirectoryPerson } from '../authentication/ldap/entries.ts'
import { type Domains, isAmongDomains } from '../config/domains.ts'
import type { Db } from '../database/schema.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as confirmations from '../stores/people/confirmations.ts'
import * as directoryAccounts from '../stores/people/directory-accounts.ts'
import type { AccountTx } from './acting.ts'
import { groupName } from './groups.ts'
import { edit, storable } from './own-claims.ts'
import { takeOver } from './recovery.ts'
import { end as endSessions } from './sessions.ts'

/** The domains that the directory is the authority of. */
export type DirectoryAuthority = { domains: Domains }

/**
 * Why a person of the directory gets no account: their address has a local one, which the directory may not take over;
 * the address belongs to the account of another entry, which had it before; or their account is disabled here.
 */
export type NotAdmitted = 'address-taken' | 'recycled-address' | 'disabled-here'

/** The account that a person of the directory signs in to, if it exists already, or why they get none. */
export type Plan = { account: accounts.Account | undefined; isLinked: boolean } | NotAdmitted

/** Returns whether an address is in a domain that the directory is the authority of. */
export function isAuthorityOf({ domains }: DirectoryAuthority, email: string): boolean {
  return isAmongDomains(accounts.canonicalEmail(email).replace(/^.*@/, ''), domains)
}

/** Decides which account a person of the directory has. It changes nothing. */
export async function plan(db: Db, person: DirectoryPerson, authority: DirectoryAuthority): Promise<Plan> {
  const linked = await directoryAccounts.findByEntry(db, person.id)
  const account = linked ? await accounts.findById(db, linked.accountId) : await accounts.findByEmail(db, person.email)
  if (account?.isDisabled) return 'disabled-here'
  if (linked || !account) return { account, isLinked: linked !== undefined }
  // An address alone proves nothing: the entry that has it now may be of another person than the account.
  const owner = await directoryAccounts.findByAccount(db, account.id)
  // Somebody who signs in twice at once may have got their account since the first look.
  if (owner) return owner.entryId === person.id ? { account, isLinked: true } : 'recycled-address'
  return isAuthorityOf(authority, person.email) ? { account, isLinked: false } : 'address-taken'
}

/** Creates or updates the account of a person who proved their password to the directory. */
export async function admit(
  context: AccountTx,
  person: DirectoryPerson,
  authority: DirectoryAuthority,
): Promise<accounts.Account | NotAdmitted> {
  const { tx, record } = context
  await directoryAccounts.lockEntry(tx, person.id)
  const planned = await plan(tx, person, authority)
  if (typeof planned === 'string') return planned
  if (planned.account) {
    const account = await accounts.lock(tx, planned.account.id)
    if (!account || account.isDisabled) return 'disabled-here'
    if (!planned.isLinked) {
      await takeOver(context, account, undefined)
      await confirmations.revoke(tx, account.id, ['email-undo'])
      record({ type: 'directory.account_linked', accountId: account.id })
    }
    return update(context, account, person, authority)
  }
  const created = await accounts.create(tx, {
    email: person.email,
    emailVerified: isAuthorityOf(authority, person.email),
    profile: {},
  })
  if (created === 'email-taken') return 'address-taken'
  record({ type: 'directory.account_created', accountId: created.id })
  return update(context, created, person, authority)
}

/** Brings the address, the claims and the groups of an account up to date with its entry. */
async function update(
  context: AccountTx,
  account: accounts.Account,
  person: DirectoryPerson,
  authority: DirectoryAuthority,
): Promise<accounts.Account> {
  const { tx, record } = context
  const before = await directoryAccounts.findByAccount(tx, account.id)
  const groups = person.groups.filter((name) => groupName.safeParse(name).success)
  await directoryAccounts.save(tx, { accountId: account.id, entryId: person.id, groups })
  const email = await changedAddress(context, account, person, authority)
  if (email) {
    await accounts.update(tx, account.id, email)
    record({
      type: 'account.updated',
      accountId: account.id,
      details: { changed: Object.keys(email), by: 'directory' },
    })
  }
  const claims = { ...claimsOf(person), ...groupsOf(account.profile['groups'], before?.groups ?? [], groups) }
  await edit(context, account.id, claims)
  return (await accounts.findById(tx, account.id)) ?? account
}

/** Returns the claims of a person as they are stored. One that has no valid value is removed. */
export function claimsOf({ claims }: DirectoryPerson): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(claims).map(([name, text]) => [name, text === undefined ? undefined : storable(name, text)]),
  )
}

/** Returns the `groups` claim: those of the directory, and those that an administrator added. */
function groupsOf(current: unknown, before: readonly string[], groups: readonly string[]): { groups?: unknown } {
  if (current !== undefined && !Array.isArray(current)) return {} // an administrator made it something else
  const own: unknown[] = (current ?? []).filter((name: unknown) => !before.includes(String(name)))
  const all = [...new Set([...own, ...groups])]
  return { groups: all.length > 0 ? all : undefined }
}

/** Returns the change of an address, unless another account has the new one. */
async function changedAddress(
  { tx }: AccountTx,
  account: accounts.Account,
  { email }: DirectoryPerson,
  authority: DirectoryAuthority,
): Promise<accounts.AccountChange | undefined> {
  const isSame = accounts.canonicalEmail(email) === accounts.canonicalEmail(account.email)
  const emailVerified = isAuthorityOf(authority, email)
  if (isSame) return emailVerified && !account.emailVerified ? { emailVerified } : undefined
  const other = await accounts.findByEmail(tx, email)
  return other ? undefined : { email, emailVerified }
}

/** Brings an account up to date with its entry, if it is still there and belongs to it. */
export async function refresh(
  context: AccountTx,
  accountId: string,
  person: DirectoryPerson,
  authority: DirectoryAuthority,
): Promise<void> {
  const account = await accounts.lock(context.tx, accountId)
  if (account && !account.isDisabled) await update(context, account, person, authority)
}

/** Ends the sessions and tokens of an account whose entry is gone or disabled. Nothing happens if that was done. */
export async function end(context: AccountTx, accountId: string): Promise<void> {
  const { tx, record } = context
  if (!(await accounts.lock(tx, accountId)) || !(await directoryAccounts.noteGone(tx, accountId))) return
  await endSessions(context, { accountId, exceptUid: undefined })
  await accounts.signOutEverywhere(tx, accountId)
  record({ type: 'directory.account_ended', accountId })
}
