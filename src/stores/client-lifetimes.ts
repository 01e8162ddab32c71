import { sql } from 'kysely'
import type { Db } from '../database/schema.ts'

/** Notes that clients were used. Whoever was to be removed unless used stays. No process needs to hear of it. */
export async function touch(db: Db, ids: string[], usedAt: Date): Promise<void> {
  await db
    .updateTable('clients')
    .set({ last_used_at: usedAt, unused_expires_at: null })
    // Locked in one order, so that two processes that note the same clients wait for each other and never both.
    .where('id', 'in', (clients) =>
      clients
        .selectFrom('clients')
        .select('id')
        .where('id', '=', sql<string>`any(${ids})`)
        .where('deleted_at', 'is', null)
        .orderBy('id')
        .forNoKeyUpdate(),
    )
    .execute()
}
