import { domainToASCII } from 'node:url'
import { sql } from 'kysely'
import { randomId } from '../../crypto/digests.ts'
import { isUniqueViolation } from '../../database/connect.ts'
import type { Db, Tx } from '../../database/schema.ts'
import type { Position } from '../position.ts'
import * as sessions from '../protocol/sessions.ts'
import { type Account, columns, toAccount } from './account-rows.ts'
import { setPasswordHash } from './password-credentials.ts'

export type { Account } from './account-rows.ts'
export {
  hasPassword,
  removePassword,
  renewPasswordHash,
  requirePasswordChange,
  setPasswordHash,
} from './password-credentials.ts'

export type Credentials = {
  account: Account
  passwordHash: string | undefined
  /** Whether the account belongs to an entry of the directory. */
  isInDirectory: boolean
}

/**
 * Returns the form in which two spellings of an email address are the same account: normalized, trimmed, in lower case,
 * and with the domain as in DNS (RFC 5891 §4.4), so that `bücher.example` and `xn--bcher-kva.example` are one.
 */
export function canonicalEmail(email: string): string {
  const address = email.normalize('NFKC').trim().toLowerCase()
  const at = address.lastIndexOf('@')
  const domain = asciiDomain(address.slice(at + 1))
  return at < 0 || domain === '' ? address : `${address.slice(0, at)}@${domain}`
}

/**
 * Returns a domain as in DNS, or '' if the text is not a domain. Node parses it as part of a URL: it would end a domain
 * at a slash, decode percent signs and drop invisible characters, so that `example.com/x` passed for `example.com`.
 */
export function asciiDomain(text: string): string {
  return /^[\p{L}\p{M}\p{N}\p{Join_Control}.\u3002\uff0e\uff61_-]+$/u.test(text) ? domainToASCII(text) : ''
}

export async function findById(db: Db, id: string): Promise<Account | undefined> {
  const row = await db.selectFrom('accounts').select(columns).where('id', '=', id).executeTakeFirst()
  return row && toAccount(row)
}

export async function findByEmail(db: Db, email: string): Promise<Account | undefined> {
  return (await findCredentials(db, email))?.account
}

/** Finds an account with its password hash, by its email address in any spelling. */
export async function findCredentials(db: Db, email: string): Promise<Credentials | undefined> {
  const row = await db
    .selectFrom('accounts')
    .leftJoin('password_credentials', 'password_credentials.account_id', 'accounts.id')
    .leftJoin('directory_accounts', 'directory_accounts.account_id', 'accounts.id')
    .select(columns)
    .select(['hash', 'entry_id'])
    .where('email_canonical', '=', canonicalEmail(email))
    .executeTakeFirst()
  return (
    row && {
      account: toAccount(row),
      passwordHash: row.hash ?? undefined,
      isInDirectory: row.entry_id !== null,
    }
  )
}

export type NewAccount = {
  email: string
  emailVerified: boolean
  profile: Record<string, unknown>
  /** The hash of its password. An account that somebody is invited to has none yet. */
  passwordHash?: string | undefined
  /** The terms that the person accepted. */
  terms?: { version: string; acceptedAt: Date } | undefined
}

/** Creates an account. `'email-taken'` if the address belongs to another account. */
export async function create(db: Tx, account: NewAccount): Promise<Account | 'email-taken'> {
  const now = new Date()
  const row = await db
    .insertInto('accounts')
    .values({
      id: randomId(16),
      email: account.email.trim(),
      email_canonical: canonicalEmail(account.email),
      email_verified: account.emailVerified,
      profile: JSON.stringify(account.profile),
      terms_version: account.terms?.version ?? null,
      terms_accepted_at: account.terms?.acceptedAt ?? null,
      disabled_at: null,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.column('email_canonical').doNothing())
    .returning(columns)
    .executeTakeFirst()
  if (!row) return 'email-taken'
  if (account.passwordHash !== undefined) await setPasswordHash(db, row.id, account.passwordHash)
  return toAccount(row)
}

/** Locks an account until the transaction ends, as everything does first that changes it or a part of it. */
export async function lock(tx: Tx, id: string): Promise<Account | undefined> {
  const row = await tx.selectFrom('accounts').select(columns).where('id', '=', id).forUpdate().executeTakeFirst()
  return row && toAccount(row)
}

export type AccountChange = {
  email?: string | undefined
  emailVerified?: boolean | undefined
  profile?: Record<string, unknown> | undefined
}

/** Changes the given fields of an account. `'email-taken'` if the address belongs to another account. */
export async function update(tx: Tx, id: string, change: AccountChange): Promise<'updated' | 'email-taken'> {
  try {
    await tx
      .updateTable('accounts')
      .set({
        updated_at: new Date(),
        ...(change.email !== undefined && {
          email: change.email.trim(),
          email_canonical: canonicalEmail(change.email),
        }),
        ...(change.emailVerified !== undefined && { email_verified: change.emailVerified }),
        ...(change.profile !== undefined && { profile: JSON.stringify(change.profile) }),
      })
      .where('id', '=', id)
      .execute()
  } catch (error) {
    if (isUniqueViolation(error)) return 'email-taken'
    throw error
  }
  return 'updated'
}

/** Notes the terms that the owner of an account accepted. */
export async function acceptTerms(tx: Tx, id: string, version: string): Promise<void> {
  await tx
    .updateTable('accounts')
    .set({ terms_version: version, terms_accepted_at: new Date() })
    .where('id', '=', id)
    .execute()
}

/** Deletes an account with its password, sessions, grants and tokens. */
export async function destroy(tx: Tx, accountId: string): Promise<boolean> {
  await signOutEverywhere(tx, accountId)
  const row = await tx.deleteFrom('accounts').where('id', '=', accountId).returning('id').executeTakeFirst()
  return row !== undefined
}

/** Disables an account and signs it out everywhere. Its grants, which record its consents, stay. */
export async function disable(tx: Tx, accountId: string): Promise<boolean> {
  const row = await tx
    .updateTable('accounts')
    .set({ disabled_at: new Date() })
    .where('id', '=', accountId)
    .where('disabled_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  if (!row) return false
  await signOutEverywhere(tx, accountId)
  return true
}

/**
 * Ends every sign-in of an account, including unfinished ones, and revokes every code and token issued for it. `false`
 * if the account does not exist.
 *
 * It locks rows in the same order as a request: account, sessions, grants, artifacts. A request in flight therefore
 * either finishes first, and is undone here, or finds that the rows it relies on have changed.
 */
export function signOutEverywhere(tx: Tx, accountId: string): Promise<boolean> {
  return signOut(tx, accountId, undefined)
}

/** Does the same, but keeps one session and what was issued in it. */
export function signOutElsewhere(tx: Tx, accountId: string, keptSessionUid: string): Promise<boolean> {
  return signOut(tx, accountId, keptSessionUid)
}

async function signOut(tx: Tx, accountId: string, keptSessionUid: string | undefined): Promise<boolean> {
  const row = await tx
    .updateTable('accounts')
    .set((set) => ({ epoch: set('epoch', '+', 1) }))
    .where('id', '=', accountId)
    .returning('id')
    .executeTakeFirst()
  if (!row) return false
  await sessions.destroyByAccount(tx, accountId, { keptUid: keptSessionUid })
  await tx.selectFrom('grants').select('id').where('account_id', '=', accountId).orderBy('id').forUpdate().execute()
  const issued = tx.deleteFrom('artifacts').where('account_id', '=', accountId)
  await (keptSessionUid === undefined
    ? issued
    : issued.where('session_uid', 'is distinct from', keptSessionUid)
  ).execute()
  return true
}

export async function enable(tx: Tx, accountId: string): Promise<boolean> {
  const row = await tx
    .updateTable('accounts')
    .set({ disabled_at: null })
    .where('id', '=', accountId)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Lists accounts in the order of their creation, after a position: all, or those in a group. */
export async function list(
  db: Db,
  { after, limit, group }: { after?: Position | undefined; limit: number; group?: string | undefined },
): Promise<(Account & { createdAt: Date })[]> {
  const rows = await db
    .selectFrom('accounts')
    .select([...columns, 'created_at'])
    .$if(group !== undefined, (query) => query.where('groups', '@>', sql<string[]>`array[${group}]`))
    .$if(after !== undefined, (query) => query.where(sql<boolean>`(created_at, id) > (${after?.at}, ${after?.id})`))
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...toAccount(row), createdAt: row.created_at }))
}
