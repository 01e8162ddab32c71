import { sql } from 'kysely'
import type { Tx } from '../../database/schema.ts'

/** Waits for a lock that one transaction at a time can hold, and holds it until the transaction ends. */
export async function take(tx: Tx, name: 'apply' | 'encryption keys'): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`postern ${name}`}, 0))`.execute(tx)
}
