import { sql } from 'kysely'
import type { Db, Row, Tx } from '../../database/schema.ts'

/** The sentence of a scope: one for everybody, or one for each language. */
export type ScopeText = string | Readonly<Record<string, string>>

/** An API that accepts access tokens (RFC 8707 §1). */
export type ResourceServer = {
  identifier: string
  name: string
  /** The sentences on the consent page, by scope. */
  scopes: Record<string, ScopeText>
  tokenFormat: 'opaque' | 'jwt'
  tokenTtlSeconds: number | undefined
  /** The `typ` header of its JWTs. */
  tokenTypeHeader?: 'at+jwt' | 'JWT' | undefined
  /** Whether the userinfo endpoint accepts its tokens, too. */
  servesUserinfo?: boolean | undefined
  /** The client as which the API introspects tokens. */
  clientId: string | undefined
  /** Whether that client was registered with it, and is deleted with it. */
  ownsClient?: boolean
  /** The time of its registration. An older token belongs to a deleted API that had the same identifier. */
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
  'scope_texts',
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

/** Reads a resource server before a change, and locks it until the transaction ends. */
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

/** Creates a resource server, or replaces the one of this identifier. `'taken'` if `isNew` and there is one. */
export async function save(
  tx: Tx,
  server: ResourceServer,
  { isNew = false }: { isNew?: boolean } = {},
): Promise<'saved' | 'taken'> {
  const now = new Date()
  const all = Object.entries(server.scopes)
  const row = {
    name: server.name,
    scopes: JSON.stringify(Object.fromEntries(all.map(([name, text]) => [name, forEverybody(text)]))),
    scope_texts: JSON.stringify(Object.fromEntries(all.filter(([, text]) => typeof text !== 'string'))),
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

/** Returns whether an API introspects tokens as this client. */
export async function isAnyIntrospectingAs(db: Db, clientId: string): Promise<boolean> {
  const row = await db
    .selectFrom('resource_servers')
    .select('identifier')
    .where('client_id', '=', clientId)
    .executeTakeFirst()
  return row !== undefined
}

/**
 * Returns the time of registration of each of these APIs, in milliseconds. Locks them against deletion until the
 * transaction ends, so that a consent does not outlive the API that it names.
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

/** Returns whether a client has no grant type, so that it can only introspect, and no resource server uses it. */
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

/** Returns the sentence of a scope for people whose language it is not known in: the English one, or otherwise the first. */
export function forEverybody(text: ScopeText): string {
  return typeof text === 'string' ? text : (text['en'] ?? Object.values(text)[0] ?? '')
}

/** Returns the sentences of all scopes. Translations that do not belong to a sentence, which has changed, are left out. */
function scopesOf(sentences: Record<string, string>, translated: Record<string, ScopeText>): Record<string, ScopeText> {
  const entries = Object.entries(sentences).map(([name, sentence]) => {
    const { [name]: texts } = translated
    return [name, texts !== undefined && Object.values(texts).includes(sentence) ? texts : sentence]
  })
  return Object.fromEntries(entries)
}

function toResourceServer(row: Row<'resource_servers', (typeof columns)[number]>): ResourceServer {
  return {
    identifier: row.identifier,
    name: row.name,
    scopes: scopesOf(row.scopes as Record<string, string>, row.scope_texts as Record<string, ScopeText>),
    tokenFormat: row.token_format === 'jwt' ? 'jwt' : 'opaque',
    tokenTtlSeconds: row.token_ttl_seconds ?? undefined,
    clientId: row.client_id ?? undefined,
    ownsClient: row.owns_client,
    tokenTypeHeader: row.token_type_header === 'JWT' ? 'JWT' : 'at+jwt',
    servesUserinfo: row.serves_userinfo,
    createdAtMs: row.created_at.getTime(),
  }
}
