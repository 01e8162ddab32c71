import { randomId } from '../crypto/digests.ts'
import type { Db, Tx } from '../database/schema.ts'
import * as sessions from './sessions.ts'

export type Account = {
  id: string
  email: string
  emailVerified: boolean
  /** Standard claims by name (OpenID Connect Core §5.1), without `sub` and the email ones. */
  profile: Record<string, unknown>
  isDisabled: boolean
}

export type Credentials = { account: Account; passwordHash: string | undefined }

const columns = ['id', 'email', 'email_verified', 'profile', 'disabled_at'] as const

/** The form in which two spellings of an address are the same account: normalized, trimmed, lower case. */
export function canonicalEmail(email: string): string {
  return email.normalize('NFKC').trim().toLowerCase()
}

export async function findById(db: Db, id: string): Promise<Account | undefined> {
  const row = await db.selectFrom('accounts').select(columns).where('id', '=', id).executeTakeFirst()
  return row && toAccount(row)
}

export async function findByEmail(db: Db, email: string): Promise<Account | undefined> {
  return (await findCredentials(db, email))?.account
}

/** An account with its password hash, by email address in any spelling. */
export async function findCredentials(db: Db, email: string): Promise<Credentials | undefined> {
  const row = await db
    .selectFrom('accounts')
    .leftJoin('password_credentials', 'account_id', 'id')
    .select([...columns, 'hash'])
    .where('email_canonical', '=', canonicalEmail(email))
    .executeTakeFirst()
  return row && { account: toAccount(row), passwordHash: row.hash ?? undefined }
}

export type NewAccount = {
  email: string
  emailVerified: boolean
  profile: Record<string, unknown>
  passwordHash: string
}

/** Creates an account with a password. `'email-taken'` when the address belongs to another one. */
export async function create(db: Tx, account: NewAccount): Promise<Account | 'email-taken'> {
  const now = new Date()
  const id = randomId(16)
  const row = await db
    .insertInto('accounts')
    .values({
      id,
      email: account.email.trim(),
      email_canonical: canonicalEmail(account.email),
      email_verified: account.emailVerified,
      profile: JSON.stringify(account.profile),
      disabled_at: null,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.column('email_canonical').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) return 'email-taken'
  await setPasswordHash(db, id, account.passwordHash)
  return {
    id,
    email: account.email.trim(),
    emailVerified: account.emailVerified,
    profile: account.profile,
    isDisabled: false,
  }
}

export async function setPasswordHash(db: Db, accountId: string, hash: string): Promise<void> {
  const now = new Date()
  await db
    .insertInto('password_credentials')
    .values({ account_id: accountId, hash, updated_at: now })
    .onConflict((conflict) => conflict.column('account_id').doUpdateSet({ hash, updated_at: now }))
    .execute()
}

/**
 * Disables an account and ends all it has: sessions, codes, tokens. Its grants, the record of what it
 * consented to, stay. They are locked before what is under them goes, so a token request in flight either
 * finishes before and is undone here, or finds nothing left to redeem.
 */
export async function disable(tx: Tx, accountId: string): Promise<boolean> {
  const row = await tx
    .updateTable('accounts')
    .set({ disabled_at: new Date(), updated_at: new Date() })
    .where('id', '=', accountId)
    .where('disabled_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  if (!row) return false
  await signOutEverywhere(tx, accountId)
  return true
}

/** Ends every session of an account, and every code and token issued for it. */
export async function signOutEverywhere(tx: Tx, accountId: string): Promise<void> {
  await sessions.destroyByAccount(tx, accountId) // sessions before grants, as a request that writes both locks them
  await tx.selectFrom('grants').select('id').where('account_id', '=', accountId).orderBy('id').forUpdate().execute()
  await tx.deleteFrom('artifacts').where('account_id', '=', accountId).execute()
}

export async function enable(db: Db, accountId: string): Promise<boolean> {
  const row = await db
    .updateTable('accounts')
    .set({ disabled_at: null, updated_at: new Date() })
    .where('id', '=', accountId)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

export async function list(db: Db, { limit }: { limit: number }): Promise<Account[]> {
  const rows = await db.selectFrom('accounts').select(columns).orderBy('created_at').limit(limit).execute()
  return rows.map(toAccount)
}

function toAccount(row: {
  id: string
  email: string
  email_verified: boolean
  profile: Record<string, unknown>
  disabled_at: Date | null
}): Account {
  return {
    id: row.id,
    email: row.email,
    emailVerified: row.email_verified,
    profile: row.profile,
    isDisabled: row.disabled_at !== null,
  }
}
