import type { Db } from '../database/schema.ts'

/** An API that accepts access tokens (RFC 8707 §1). */
export type ResourceServer = {
  identifier: string
  name: string
  /** Scope names with the sentence shown on the consent page. */
  scopes: Record<string, string>
  tokenFormat: 'opaque' | 'jwt'
  tokenTtlSeconds: number | undefined
  /** The client the API introspects tokens as. */
  clientId: string | undefined
}

export async function list(db: Db): Promise<ResourceServer[]> {
  const rows = await db
    .selectFrom('resource_servers')
    .select(['identifier', 'name', 'scopes', 'token_format', 'token_ttl_seconds', 'client_id'])
    .orderBy('identifier')
    .execute()
  return rows.map((row) => ({
    identifier: row.identifier,
    name: row.name,
    scopes: row.scopes as Record<string, string>,
    tokenFormat: row.token_format === 'jwt' ? 'jwt' : 'opaque',
    tokenTtlSeconds: row.token_ttl_seconds ?? undefined,
    clientId: row.client_id ?? undefined,
  }))
}

/** Creates a resource server, or replaces the one of that identifier. */
export async function save(db: Db, server: ResourceServer): Promise<void> {
  const now = new Date()
  const row = {
    name: server.name,
    scopes: JSON.stringify(server.scopes),
    token_format: server.tokenFormat,
    token_ttl_seconds: server.tokenTtlSeconds ?? null,
    client_id: server.clientId ?? null,
    updated_at: now,
  }
  await db
    .insertInto('resource_servers')
    .values({ identifier: server.identifier, ...row, created_at: now })
    .onConflict((conflict) => conflict.column('identifier').doUpdateSet(row))
    .execute()
}
