import { sql } from 'kysely'
import type { Envelope } from '../crypto/envelope.ts'
import type { Db, Tx } from '../database/schema.ts'

/** Client metadata as RFC 7591 §2 spells it, the secret included. */
export type ClientMetadata = Record<string, unknown> & { client_id: string }

/** The channel on which every process hears that a client changed; the payload is the client id. */
export const changedChannel = 'client_changed'

const identity = (id: string) => `clients.secret:${id}`

/** A client that may be used: neither disabled nor deleted. */
export async function findActive(db: Db, envelope: Envelope, id: string): Promise<ClientMetadata | undefined> {
  const row = await db
    .selectFrom('clients')
    .select(['id', 'metadata', 'secret_sealed'])
    .where('id', '=', id)
    .where('disabled_at', 'is', null)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (!row) return undefined
  const secret = row.secret_sealed === null ? {} : { client_secret: envelope.open(row.secret_sealed, identity(id)) }
  return { ...row.metadata, ...secret, client_id: id }
}

/**
 * Creates or replaces a client. `'gone'` when it was deleted or disabled, which no update undoes.
 * The secret is kept sealed, apart from the rest.
 */
export async function save(
  tx: Tx,
  envelope: Envelope,
  { client_id: id, client_secret: secret, ...metadata }: ClientMetadata,
  { isDynamic }: { isDynamic: boolean },
): Promise<'saved' | 'gone'> {
  const now = new Date()
  const row = {
    metadata: JSON.stringify(metadata),
    secret_sealed: typeof secret === 'string' ? envelope.seal(secret, identity(id)) : null,
    updated_at: now,
  }
  const saved = await tx
    .insertInto('clients')
    .values({ id, ...row, dynamic: isDynamic, disabled_at: null, deleted_at: null, created_at: now })
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet(row)
        .where('clients.deleted_at', 'is', null)
        .where('clients.disabled_at', 'is', null),
    )
    .returning('id')
    .executeTakeFirst()
  await announce(tx, id)
  return saved ? 'saved' : 'gone'
}

/** Locks a client before its tokens, in the order deletion does, so that the two wait for each other and never both. */
export async function lock(tx: Tx, id: string): Promise<void> {
  await tx.selectFrom('clients').select('id').where('id', '=', id).forNoKeyUpdate().execute()
}

/** Deletes a client with all that was issued to it. What remains is its id, so that it is never given out again. */
export async function destroy(tx: Tx, id: string): Promise<boolean> {
  const row = await tx
    .updateTable('clients')
    .set({ deleted_at: new Date(), updated_at: new Date(), metadata: '{}', secret_sealed: null })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  await tx.selectFrom('grants').select('id').where('client_id', '=', id).orderBy('id').forUpdate().execute()
  await tx.deleteFrom('grants').where('client_id', '=', id).execute()
  await tx.deleteFrom('artifacts').where('client_id', '=', id).execute()
  await announce(tx, id)
  return row !== undefined
}

/** Disables or enables a client; while disabled neither it nor its tokens work anywhere. */
export async function setDisabled(tx: Tx, id: string, isDisabled: boolean): Promise<boolean> {
  const row = await tx
    .updateTable('clients')
    .set({ disabled_at: isDisabled ? new Date() : null, updated_at: new Date() })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  await announce(tx, id)
  return row !== undefined
}

export type ClientSummary = { id: string; name: string; isDynamic: boolean; isDisabled: boolean; createdAt: Date }

export async function list(db: Db, { limit }: { limit: number }): Promise<ClientSummary[]> {
  const rows = await db
    .selectFrom('clients')
    .select(['id', sql<string | null>`metadata->>'client_name'`.as('name'), 'dynamic', 'disabled_at', 'created_at'])
    .where('deleted_at', 'is', null)
    .orderBy('created_at')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    name: row.name ?? '',
    isDynamic: row.dynamic,
    isDisabled: row.disabled_at !== null,
    createdAt: row.created_at,
  }))
}

/** Whether a client registered itself rather than being registered by an administrator. */
export async function isDynamic(db: Db, id: string): Promise<boolean> {
  const row = await db.selectFrom('clients').select('dynamic').where('id', '=', id).executeTakeFirst()
  return row?.dynamic ?? true
}

/** The ids of clients changed since a moment. */
export async function changedSince(db: Db, moment: Date): Promise<string[]> {
  const rows = await db.selectFrom('clients').select('id').where('updated_at', '>=', moment).execute()
  return rows.map(({ id }) => id)
}

async function announce(tx: Tx, id: string): Promise<void> {
  await sql`select pg_notify(${changedChannel}, ${id})`.execute(tx)
}
