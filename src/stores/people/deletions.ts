import type { Db, Tx } from '../../database/schema.ts'
import { type Account, columns, toAccount } from './account-rows.ts'

/** Schedules the deletion of an account. `false` if it is scheduled already, or the account is disabled or gone. */
export async function schedule(tx: Tx, accountId: string, at: Date): Promise<boolean> {
  const row = await tx
    .updateTable('accounts')
    .set({ deletion_at: at })
    .where('id', '=', accountId)
    .where('deletion_at', 'is', null)
    .where('disabled_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Cancels the deletion of an account. `false` if none is scheduled. */
export async function cancel(tx: Tx, accountId: string): Promise<boolean> {
  const row = await tx
    .updateTable('accounts')
    .set({ deletion_at: null })
    .where('id', '=', accountId)
    .where('deletion_at', 'is not', null)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Finds accounts whose time to come back is over. */
export async function findDue(db: Db, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('accounts')
    .select('id')
    .where('deletion_at', '<=', new Date())
    .orderBy('deletion_at')
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}

/** Locks an account whose time to come back is over. `undefined` if it came back, or another process deletes it. */
export async function lockDue(tx: Tx, accountId: string): Promise<Account | undefined> {
  const row = await tx
    .selectFrom('accounts')
    .select(columns)
    .where('id', '=', accountId)
    .where('deletion_at', '<=', new Date())
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
  return row && toAccount(row)
}
