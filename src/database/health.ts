import { sql } from 'kysely'
import type { Db } from './schema.ts'

/** Returns whether the database answers and accepts writes. */
export async function acceptsWrites(db: Db): Promise<boolean> {
  const { rows } = await sql<{ is_standby: boolean; is_read_only: string }>`
    select pg_is_in_recovery() as is_standby, current_setting('transaction_read_only') as is_read_only`.execute(db)
  return rows[0]?.is_standby === false && rows[0].is_read_only === 'off'
}
