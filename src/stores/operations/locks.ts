import { sql } from 'kysely'
import type { Tx } from '../../database/schema.ts'

/** Waits for its turn at something only one transaction at a time may do, and has it until the transaction ends. */
export async function take(tx: Tx, name: 'apply' | 'encryption keys'): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`postern ${name}`}, 0))`.execute(tx)
}
