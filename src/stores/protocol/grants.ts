import { CompiledQuery, sql } from 'kysely'
import { randomId } from '../../crypto/digests.ts'
import type { Db, Row, Tx } from '../../database/schema.ts'
import type { Position } from '../position.ts'
import { modelsWith } from './models.ts'

const accessTokens = modelsWith(({ isAccessToken }) => isAccessToken)

type Payload = Record<string, unknown>

/** A grant of an account to a client in the engine's form, and what the consent page showed. */
export type StoredGrant = { id: string; payload: Payload; shown: Payload; expiresAtSeconds: number }

const columns = ['id', 'payload', 'shown', 'expires_at'] as const
type Column = (typeof columns)[number]

export type Pair = { accountId: string; clientId: string }

export async function findById(db: Db, id: string): Promise<StoredGrant | undefined> {
  const row = await db.selectFrom('grants').select(columns).where('id', '=', id).executeTakeFirst()
  return row && toGrant(row)
}

/** Finds the one grant of an account to a client, unless it has expired. */
export async function find(db: Db, accountId: string, clientId: string): Promise<StoredGrant | undefined> {
  const row = await db
    .selectFrom('grants')
    .select(columns)
    .where('account_id', '=', accountId)
    .where('client_id', '=', clientId)
    .where('expires_at', '>', new Date())
    .executeTakeFirst()
  return row && toGrant(row)
}

/** Finds the grants of accounts to clients that have not expired, in the order of the pairs, in one round trip. */
export async function findAll(db: Db, pairs: Pair[]): Promise<(StoredGrant | undefined)[]> {
  const text = `select account_id, client_id, ${columns.join(', ')} from grants
    where account_id = any($1) and client_id = any($2) and expires_at > $3`
  const accounts = new Set(pairs.map(({ accountId }) => accountId))
  const clients = new Set(pairs.map(({ clientId }) => clientId))
  const { rows } = await db.executeQuery<Row<'grants', Column | 'account_id' | 'client_id'>>(
    CompiledQuery.raw(text, [[...accounts], [...clients], new Date()]),
  )
  return pairs.map(({ accountId, clientId }) => {
    const row = rows.find((candidate) => candidate.account_id === accountId && candidate.client_id === clientId)
    return row && toGrant(row)
  })
}

/**
 * Reads the grant of an account to a client under a lock, changes it with `change`, and writes it back. Creates it if
 * there is none or it has expired. The second of two concurrent consents builds on the first.
 */
export async function change(
  tx: Tx,
  { accountId, clientId }: Pair,
  change: (
    current: Payload | undefined,
    shown: Payload,
  ) => { payload: Payload; shown: Payload; expiresAtSeconds: number },
): Promise<string> {
  const now = new Date()
  // Inserts a row if none exists yet, so that there is one to lock.
  await tx
    .insertInto('grants')
    .values({
      id: randomId(16),
      account_id: accountId,
      client_id: clientId,
      payload: '{}',
      shown: '{}',
      expires_at: now,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) => conflict.columns(['account_id', 'client_id']).doNothing())
    .execute()
  const row = await tx
    .selectFrom('grants')
    .select(columns)
    .where('account_id', '=', accountId)
    .where('client_id', '=', clientId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow()
  const isLive = row.expires_at > now
  const { payload, shown, expiresAtSeconds } = change(isLive ? row.payload : undefined, isLive ? row.shown : {})
  await tx
    .updateTable('grants')
    .set({
      payload: JSON.stringify({ ...payload, jti: row.id }),
      shown: JSON.stringify(shown),
      expires_at: new Date(expiresAtSeconds * 1000),
      updated_at: now,
    })
    .where('id', '=', row.id)
    .execute()
  return row.id
}

/** Moves the expiry of a grant that is in use. Its scopes stay as they are, because it may have been narrowed since. */
export async function extend(db: Db, id: string, expiresAtSeconds: number): Promise<void> {
  await db
    .updateTable('grants')
    .set({
      payload: sql`payload || jsonb_build_object('exp', ${expiresAtSeconds}::bigint)`,
      expires_at: new Date(expiresAtSeconds * 1000),
    })
    .where('id', '=', id)
    .execute()
}

/**
 * Removes a resource server from every grant, consents and denials alike, and deletes its tokens. A later one with the
 * same identifier therefore inherits none of them. It locks grants before tokens and by id, as a request does, so that
 * a token issued at the same time is either deleted or refers to a grant without the resource.
 */
export async function forgetResource(tx: Tx, identifier: string): Promise<void> {
  const locked = await sql<{ id: string }>`
    select id from grants where payload->'resources' ? ${identifier} or payload->'rejected'->'resources' ? ${identifier}
      or shown->'skipped'->'resources' ? ${identifier} order by id for update`.execute(tx)
  const ids = locked.rows.map(({ id }) => id)
  await sql`
    update grants set
      payload = payload #- array['resources', ${identifier}::text] #- array['rejected', 'resources', ${identifier}::text],
      shown = shown #- array['skipped', 'resources', ${identifier}::text], updated_at = ${new Date()}
    where id = any(${ids})`.execute(tx)
  await sql`
    delete from artifacts where model = any(${accessTokens}) and payload->>'aud' = ${identifier}`.execute(tx)
}

/**
 * Deletes a grant with everything issued under it, and returns its account and client.
 *
 * @param ofAccount - The account that the grant must belong to, if an account asks for it.
 */
export async function destroy(db: Db, id: string, ofAccount?: string): Promise<Pair | undefined> {
  const row = await db
    .deleteFrom('grants')
    .where('id', '=', id)
    .$if(ofAccount !== undefined, (query) => query.where('account_id', '=', ofAccount ?? ''))
    .returning(['account_id', 'client_id'])
    .executeTakeFirst()
  return row && { accountId: row.account_id, clientId: row.client_id }
}

/**
 * Notes that grants were used, unless that is known since `knownSince`. A grant that is locked is left out: the next use is
 * noted again.
 */
export async function noteUse(
  db: Db,
  { ids, usedAt, knownSince }: { ids: readonly string[]; usedAt: Date; knownSince: Date },
): Promise<void> {
  await sql`
    update grants set last_used_at = ${usedAt} where id = any(array(
      select id from grants where id = any(${ids}) and (last_used_at is null or last_used_at < ${knownSince})
      order by id for no key update skip locked))`.execute(db)
}

export type GrantRecord = StoredGrant & Pair & { createdAt: Date; lastUsedAt: Date | undefined }

/** Lists grants that have not expired, in the order of their creation, after a position. */
export async function list(
  db: Db,
  {
    accountId,
    clientId,
    after,
    limit,
  }: { accountId: string | undefined; clientId: string | undefined; after: Position | undefined; limit: number },
): Promise<GrantRecord[]> {
  let query = db
    .selectFrom('grants')
    .select([...columns, 'account_id', 'client_id', 'created_at', 'last_used_at'])
    .where('expires_at', '>', new Date())
  if (accountId !== undefined) query = query.where('account_id', '=', accountId)
  if (clientId !== undefined) query = query.where('client_id', '=', clientId)
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) => eb(refTuple('created_at', 'id'), '>', tuple(after.at, after.id)))
  }
  const rows = await query.orderBy('created_at').orderBy('id').limit(limit).execute()
  return rows.map((row) => ({
    ...toGrant(row),
    accountId: row.account_id,
    clientId: row.client_id,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at ?? undefined,
  }))
}

function toGrant(row: Row<'grants', Column>): StoredGrant {
  return {
    id: row.id,
    payload: row.payload,
    shown: row.shown,
    expiresAtSeconds: Math.floor(row.expires_at.getTime() / 1000),
  }
}
