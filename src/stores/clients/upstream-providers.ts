import type { Envelope } from '../../crypto/envelope.ts'
import type { Db, Row, Tx } from '../../database/schema.ts'

/** An OpenID or OAuth provider elsewhere that people may sign in with. */
export type UpstreamProvider = {
  id: string
  /** The kind of provider, which decides how Postern speaks with it. */
  preset: string
  settings: Record<string, unknown>
  /** Its client secret or private key. */
  secret: string | undefined
  /** The domains whose addresses it decides about: it alone says who owns them. */
  authorityDomains: string[]
  isDisabled: boolean
  createdAt: Date
  updatedAt: Date
}

export type NewUpstreamProvider = Pick<UpstreamProvider, 'id' | 'preset' | 'settings' | 'secret' | 'authorityDomains'>

/** Returns the identity that the secret of a provider is sealed for. */
export const identity = (id: string): string => `upstream_providers.secret:${id}`

// biome-ignore format: it is a list
const columns = ['id', 'preset', 'settings', 'secret_sealed', 'authority_domains', 'disabled_at', 'created_at', 'updated_at'] as const

/** Creates a provider. `'taken'` if another one has its name. */
export async function create(tx: Tx, envelope: Envelope, provider: NewUpstreamProvider): Promise<'created' | 'taken'> {
  const now = new Date()
  const row = await tx
    .insertInto('upstream_providers')
    .values({ id: provider.id, ...toRow(envelope, provider), disabled_at: null, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .executeTakeFirst()
  return row ? 'created' : 'taken'
}

/** Replaces the settings of a provider. */
export async function update(tx: Tx, envelope: Envelope, provider: NewUpstreamProvider): Promise<void> {
  await tx
    .updateTable('upstream_providers')
    .set({ ...toRow(envelope, provider), updated_at: new Date() })
    .where('id', '=', provider.id)
    .execute()
}

/** Disables a provider, or lets people sign in with it again. */
export async function setDisabled(tx: Tx, id: string, isDisabled: boolean): Promise<void> {
  const now = new Date()
  await tx
    .updateTable('upstream_providers')
    .set({ disabled_at: isDisabled ? now : null, updated_at: now })
    .where('id', '=', id)
    .execute()
}

export async function find(db: Db, envelope: Envelope, id: string): Promise<UpstreamProvider | undefined> {
  const row = await db.selectFrom('upstream_providers').select(columns).where('id', '=', id).executeTakeFirst()
  return row && toProvider(row, envelope)
}

/** Reads a provider before a change, and locks it until the transaction ends. */
export async function lock(tx: Tx, envelope: Envelope, id: string): Promise<UpstreamProvider | undefined> {
  const query = tx.selectFrom('upstream_providers').select(columns).where('id', '=', id)
  const row = await query.forNoKeyUpdate().executeTakeFirst()
  return row && toProvider(row, envelope)
}

/** Lists all providers, the oldest first. */
export async function list(db: Db, envelope: Envelope): Promise<UpstreamProvider[]> {
  const rows = await db.selectFrom('upstream_providers').select(columns).orderBy('created_at').orderBy('id').execute()
  return rows.map((row) => toProvider(row, envelope))
}

/** Deletes a provider with the identities that people have there. */
export async function destroy(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('upstream_providers').where('id', '=', id).execute()
}

function toRow(envelope: Envelope, { id, preset, settings, secret, authorityDomains }: NewUpstreamProvider) {
  return {
    preset,
    settings: JSON.stringify(settings),
    secret_sealed: secret === undefined ? null : envelope.seal(secret, identity(id)),
    authority_domains: authorityDomains,
  }
}

function toProvider(row: Row<'upstream_providers', (typeof columns)[number]>, envelope: Envelope): UpstreamProvider {
  return {
    id: row.id,
    preset: row.preset,
    settings: row.settings as Record<string, unknown>,
    secret: row.secret_sealed === null ? undefined : envelope.open(row.secret_sealed, identity(row.id)),
    authorityDomains: row.authority_domains,
    isDisabled: row.disabled_at !== null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
