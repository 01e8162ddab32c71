import { sql } from 'kysely'
import type { Db, Row, Tx } from '../../database/schema.ts'

/** An API that accepts access tokens (RFC 8707 §1). */
export type ResourceServer = {
  identifier: string
  name: string
  /** Scope names with the sentence shown on the consent page. */
  scopes: Record<string, string>
  tokenFormat: 'opaque' | 'jwt'
  tokenTtlSeconds: number | undefined
  /** The `typ` of its JWTs. */
  tokenTypeHeader?: 'at+jwt' | 'JWT' | undefined
  /** Whether its tokens are good for userinfo as well. */
  servesUserinfo?: boolean | undefined
  /** The client the API introspects tokens as. */
  clientId: string | undefined
  /** Whether that client was made with it, and ends with it. */
  ownsClient?: boolean
  /** When it was registered. A token from before is of an API that had the same identifier, and was deleted. */
  createdAtMs?: number
}

const columns = [
  'identifier',
  'name',
  'scopes',
  'token_format',
  'token_ttl_seconds',
  'client_id',
  'owns_client',
  'token_type_header',
  'serves_userinfo',
  'created_at',
] as const

export async function find(db: Db, identifier: string): Promise<ResourceServer | undefined> {
  const row = await db
    .selectFrom('resource_servers')
    .select(columns)
    .where('identifier', '=', identifier)
    .executeTakeFirst()
  return row && toResourceServer(row)
}

/** Reads a resource server that is about to be changed, and locks it until the transaction ends. */
export async function lock(tx: Tx, identifier: string): Promise<ResourceServer | undefined> {
  const row = await tx
    .selectFrom('resource_servers')
    .select(columns)
    .where('identifier', '=', identifier)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row && toResourceServer(row)
}

export async function list(db: Db): Promise<ResourceServer[]> {
  const rows = await db.selectFrom('resource_servers').select(columns).orderBy('identifier').execute()
  return rows.map(toResourceServer)
}

export async function destroy(db: Db, identifier: string): Promise<boolean> {
  const row = await db
    .deleteFrom('resource_servers')
    .where('identifier', '=', identifier)
    .returning('identifier')
    .executeTakeFirst()
  return row !== undefined
}

/** Creates a resource server, or replaces the one of that identifier; with `isNew` it is `'taken'` when there is one. */
export async function save(
  tx: Tx,
  server: ResourceServer,
  { isNew = false }: { isNew?: boolean } = {},
): Promise<'saved' | 'taken'> {
  const now = new Date()
  const row = {
    name: server.name,
    scopes: JSON.stringify(server.scopes),
    token_format: server.tokenFormat,
    token_ttl_seconds: server.tokenTtlSeconds ?? null,
    client_id: server.clientId ?? null,
    owns_client: server.ownsClient ?? false,
    token_type_header: server.tokenTypeHeader ?? 'at+jwt',
    serves_userinfo: server.servesUserinfo ?? false,
    updated_at: now,
  }
  const saved = await tx
    .insertInto('resource_servers')
    .values({ identifier: server.identifier, ...row, created_at: now })
    .onConflict((conflict) =>
      isNew ? conflict.column('identifier').doNothing() : conflict.column('identifier').doUpdateSet(row),
    )
    .returning('identifier')
    .executeTakeFirst()
  return saved ? 'saved' : 'taken'
}

/** Whether an API introspects tokens as this client. */
export async function isUsing(db: Db, clientId: string): Promise<boolean> {
  const row = await db
    .selectFrom('resource_servers')
    .select('identifier')
    .where('client_id', '=', clientId)
    .executeTakeFirst()
  return row !== undefined
}

/**
 * When each of these APIs was registered, in milliseconds. They are not deleted before the transaction ends, so that
 * a consent does not outlive the API that it names.
 */
export async function holdRegistrations(tx: Tx, identifiers: readonly string[]): Promise<Map<string, number>> {
  if (identifiers.length === 0) return new Map()
  const rows = await tx
    .selectFrom('resource_servers')
    .select(['identifier', 'created_at'])
    .where('identifier', 'in', identifiers)
    .orderBy('identifier')
    .forKeyShare()
    .execute()
  return new Map(rows.map(({ identifier, created_at }) => [identifier, created_at.getTime()]))
}

/** Whether a client has no grant, so that all it can do is introspect, and no other resource server uses it. */
export async function isOnlyCredentials(db: Db, clientId: string): Promise<boolean> {
  const row = await db
    .selectFrom('clients')
    .select('id')
    .where('id', '=', clientId)
    .where(sql<boolean>`metadata->'grant_types' = '[]'::jsonb`)
    .where((where) =>
      where.not(
        where.exists(where.selectFrom('resource_servers').select('identifier').where('client_id', '=', clientId)),
      ),
    )
    .executeTakeFirst()
  return row !== undefined
}

function toResourceServer(row: Row<'resource_servers', (typeof columns)[number]>): ResourceServer {
  return {
    identifier: row.identifier,
    name: row.name,
    scopes: row.scopes as Record<string, string>,
    tokenFormat: row.token_format === 'jwt' ? 'jwt' : 'opaque',
    tokenTtlSeconds: row.token_ttl_seconds ?? undefined,
    clientId: row.client_id ?? undefined,
    ownsClient: row.owns_client,
    tokenTypeHeader: row.token_type_header === 'JWT' ? 'JWT' : 'at+jwt',
    servesUserinfo: row.serves_userinfo,
    createdAtMs: row.created_at.getTime(),
  }
}
