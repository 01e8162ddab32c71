import { sql } from 'kysely'
import type { Db, Tx } from '../../database/schema.ts'

/** The entry of the directory that an account belongs to. */
export type DirectoryAccount = {
  accountId: string
  entryId: string
  /** The groups that the directory gave last. */
  groups: string[]
  /** When the entry was found to be gone or disabled. */
  goneAt: Date | undefined
}

const columns = ['account_id', 'entry_id', 'groups', 'gone_at'] as const

export function findByEntry(db: Db, entryId: string): Promise<DirectoryAccount | undefined> {
  return find(db, 'entry_id', entryId)
}

export function findByAccount(db: Db, accountId: string): Promise<DirectoryAccount | undefined> {
  return find(db, 'account_id', accountId)
}

async function find(db: Db, column: 'account_id' | 'entry_id', value: string): Promise<DirectoryAccount | undefined> {
  const row = await db.selectFrom('directory_accounts').select(columns).where(column, '=', value).executeTakeFirst()
  return (
    row && { accountId: row.account_id, entryId: row.entry_id, groups: row.groups, goneAt: row.gone_at ?? undefined }
  )
}

/** Lets only one transaction at a time change what belongs to an entry, also before there is anything. */
export async function lockEntry(tx: Tx, entryId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`postern directory ${entryId}`}, 0))`.execute(tx)
}

/** Records that an account belongs to an entry, and that the entry is there now, with these groups. */
export async function save(
  tx: Tx,
  { accountId, entryId, groups }: { accountId: string; entryId: string; groups: string[] },
): Promise<void> {
  const found = { groups, checked_at: new Date(), gone_at: null }
  await tx
    .insertInto('directory_accounts')
    .values({ account_id: accountId, entry_id: entryId, ...found })
    .onConflict((conflict) => conflict.column('account_id').doUpdateSet(found))
    .execute()
}

/** Records that the entry of an account is gone or disabled. Returns `false` if that was known. */
export async function noteGone(tx: Tx, accountId: string): Promise<boolean> {
  const row = await tx
    .updateTable('directory_accounts')
    .set({ gone_at: new Date() })
    .where('account_id', '=', accountId)
    .where('gone_at', 'is', null)
    .returning('account_id')
    .executeTakeFirst()
  return row !== undefined
}

/**
 * Takes accounts whose entries were last looked for before a time, those of people who are signed in somewhere. Another
 * process takes others.
 */
export async function takeDue(
  tx: Tx,
  { before, limit }: { before: Date; limit: number },
): Promise<{ accountId: string; entryId: string }[]> {
  const { rows } = await sql<{ account_id: string; entry_id: string }>`
    update directory_accounts set checked_at = ${new Date()} where account_id in (
      select d.account_id from directory_accounts d
      where d.checked_at < ${before} and d.gone_at is null and (
        exists (select from sessions s where s.account_id = d.account_id)
        or exists (select from artifacts a where a.account_id = d.account_id))
      order by d.checked_at limit ${limit} for update skip locked)
    returning account_id, entry_id`.execute(tx)
  return rows.map((row) => ({ accountId: row.account_id, entryId: row.entry_id }))
}
