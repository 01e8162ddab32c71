import { sql } from 'kysely'
import type { Db } from '../../database/schema.ts'

/**
 * Finds the password hash of the account that follows a point among all accounts, in an order that nothing about an account
 * decides. There is none after the last account.
 */
export async function findHash(db: Db, point: bigint): Promise<string | undefined> {
  const { rows } = await sql<{ hash: string }>`
    select hash from password_credentials where hashtextextended(account_id, 0) >= ${String(point)}::bigint
    order by hashtextextended(account_id, 0) limit 1`.execute(db)
  return rows[0]?.hash
}
