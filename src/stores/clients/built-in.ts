import { sql } from 'kysely'
import type { Tx } from '../../database/schema.ts'
import { announce } from './changes.ts'

/** The client through which people sign in to the pages about their own account. */
export const accountPagesId = 'postern-account'

/**
 * Registers a client that belongs to this server, or updates its metadata. No administrator sees or manages it: the server
 * could not work without it.
 *
 * @throws Error if an administrator has given the id to another client.
 */
export async function save(tx: Tx, id: string, metadata: Record<string, unknown>): Promise<void> {
  const now = new Date()
  const text = JSON.stringify(metadata)
  const saved = await tx
    .insertInto('clients')
    .values({
      id,
      metadata: text,
      built_in: true,
      dynamic: false,
      policy: 'administrator',
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet({ metadata: text, updated_at: now, deleted_at: null, disabled_at: null })
        .where('clients.built_in', '=', true)
        .where(
          sql<boolean>`(clients.metadata is distinct from excluded.metadata
            or clients.deleted_at is not null or clients.disabled_at is not null)`,
        ),
    )
    .returning('id')
    .executeTakeFirst()
  if (saved) {
    await announce(tx, id)
    return
  }
  const found = await tx.selectFrom('clients').select('built_in').where('id', '=', id).executeTakeFirst()
  if (!found?.built_in) throw new Error(`The client ${id} has an id that this server needs itself. Delete that client.`)
}
