import { CompiledQuery, sql } from 'kysely'
import type { Db, Row, Tx } from '../../database/schema.ts'
import type { Position } from '../position.ts'

/**
 * A client as an administrator sees it: in any state except deleted, and never with a secret. The built-in clients of
 * this server are not among them.
 */
export type ClientRecord = {
  id: string
  metadata: Record<string, unknown>
  isDynamic: boolean
  isDocument: boolean
  isDisabled: boolean
  policy: string
  registrationTokenId: string | undefined
  createdAt: Date
  updatedAt: Date
  lastUsedAt: Date | undefined
  expiresAt: Date | undefined
  /** The expiry of the secret before the last rotation. */
  previousSecretExpiresAt: Date | undefined
}

const columns = [
  'id',
  'metadata',
  'dynamic',
  'document',
  'disabled_at',
  'policy',
  'registration_token_id',
  'created_at',
  'updated_at',
  'last_used_at',
  'expires_at',
  'previous_secret_expires_at',
] as const

type ClientRow = Row<'clients', (typeof columns)[number]>

export async function find(db: Db, id: string): Promise<ClientRecord | undefined> {
  const row = await db
    .selectFrom('clients')
    .select(columns)
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .where('built_in', 'is', false)
    .executeTakeFirst()
  return row && toRecord(row)
}

/** Lists clients in the order of their registration, after a position. */
export async function list(
  db: Db,
  { after, limit }: { after: Position | undefined; limit: number },
): Promise<ClientRecord[]> {
  const text = `select ${columns.join(', ')} from clients
    where deleted_at is null and not built_in ${after ? 'and (created_at, id) > ($2, $3)' : ''} order by created_at, id limit $1`
  const parameters = [limit, ...(after ? [after.at, after.id] : [])]
  const { rows } = await db.executeQuery<ClientRow>(CompiledQuery.raw(text, parameters))
  return rows.map(toRecord)
}

/** Locks clients in the order of their ids, as requests do, so that the two cannot deadlock. */
export async function lock(tx: Tx, ids: string[]): Promise<void> {
  const isAmong = sql<boolean>`id = any(${ids})`
  await tx.selectFrom('clients').select('id').where(isAmong).orderBy('id').forNoKeyUpdate().execute()
}

/**
 * Lists the clients that an administrator registered: not those that registered themselves or are described by a
 * document.
 */
export async function listAdministered(db: Db): Promise<ClientRecord[]> {
  const rows = await db
    .selectFrom('clients')
    .select(columns)
    .where('deleted_at', 'is', null)
    .where('dynamic', 'is', false)
    .where('document', 'is', false)
    .where('built_in', 'is', false)
    .orderBy('id')
    .execute()
  return rows.map(toRecord)
}

function toRecord(row: ClientRow): ClientRecord {
  return {
    id: row.id,
    metadata: row.metadata,
    isDynamic: row.dynamic,
    isDocument: row.document,
    isDisabled: row.disabled_at !== null,
    policy: row.policy ?? (row.dynamic ? 'default' : 'administrator'), // the previous release stored none
    registrationTokenId: row.registration_token_id ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    lastUsedAt: row.last_used_at ?? undefined,
    expiresAt: row.expires_at ?? undefined,
    previousSecretExpiresAt: row.previous_secret_expires_at ?? undefined,
  }
}
