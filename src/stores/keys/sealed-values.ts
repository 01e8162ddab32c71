import { CompiledQuery, sql } from 'kysely'
import { keyIdOf } from '../../crypto/envelope.ts'
import type { Db } from '../../database/schema.ts'
import * as credentials from '../clients/credentials.ts'
import * as upstreamProviders from '../clients/upstream-providers.ts'
import * as idempotencyKeys from '../operations/idempotency-keys.ts'
import * as outbox from '../operations/outbox.ts'
import * as confirmations from '../people/confirmations.ts'
import * as totp from '../people/totp.ts'
import * as upstreamRequests from '../people/upstream-requests.ts'
import * as artifacts from '../protocol/artifacts.ts'
import * as sessions from '../protocol/sessions.ts'
import * as keys from './keys.ts'

type KeyColumn = { name: string; type: 'text' | 'bytea' }

/** A column that holds sealed values, or a member of one. */
type Column = {
  table: string
  /** The columns that identify and order rows. They contain everything that the identity is made of. */
  key: readonly KeyColumn[]
  /** Returns the SQL for the sealed value of the row with this alias. */
  sealed(row: string): string
  /** Returns the SQL that assigns a new value to the row `t`. */
  assign(value: string): string
  /** Returns the identity that the value is sealed for. */
  identity(key: RowKey): string
}

type RowKey = readonly (string | Buffer)[]

/** A value that is sealed with another key than the current one. */
export type StaleValue = { key: RowKey; identity: string; sealed: string }

const text = (name: string): KeyColumn => ({ name, type: 'text' })
const bytea = (name: string): KeyColumn => ({ name, type: 'bytea' })

function column(table: string, name: string, key: readonly KeyColumn[], identity: Column['identity']): Column {
  return { table, key, identity, sealed: (row) => `${row}.${name}`, assign: (value) => `${name} = ${value}` }
}

function member(table: string, name: string, key: readonly KeyColumn[], identity: Column['identity']): Column {
  return {
    table,
    key,
    identity,
    sealed: (row) => `${row}.payload->>'${name}'`,
    // Reads the row as it is at the update, so that a concurrent change of a request stays.
    assign: (value) => `payload = jsonb_set(t.payload, '{${name}}', to_jsonb(${value}))`,
  }
}

/** All sealed values. Any sealed value that is missing here would be lost with the key that sealed it. */
// biome-ignore format: it is a table
const columns = {
  'keys.sealed': column('keys', 'sealed', [text('id'), text('purpose')], ([id, purpose]) => keys.identity({ id: String(id), purpose: String(purpose) })),
  'clients.secret_sealed': column('clients', 'secret_sealed', [text('id')], ([id]) => credentials.secretIdentity(String(id))),
  'clients.previous_secret_sealed': column('clients', 'previous_secret_sealed', [text('id')], ([id]) => credentials.previousSecretIdentity(String(id))),
  'idempotency_keys.response_sealed': column('idempotency_keys', 'response_sealed', [bytea('key_hash')], ([hash]) => idempotencyKeys.identity(hash as Buffer)),
  'confirmations.data_sealed': column('confirmations', 'data_sealed', [bytea('id_hash')], ([hash]) => confirmations.identity(hash as Buffer)),
  'totp_secrets.secret_sealed': column('totp_secrets', 'secret_sealed', [text('account_id')], ([id]) => totp.identity(String(id))),
  'upstream_providers.secret_sealed': column('upstream_providers', 'secret_sealed', [text('id')], ([id]) => upstreamProviders.identity(String(id))),
  'upstream_requests.sealed': column('upstream_requests', 'sealed', [bytea('state_hash')], ([hash]) => upstreamRequests.identity(hash as Buffer)),
  'outbox.sealed': column('outbox', 'sealed', [text('id')], ([id]) => outbox.identity(String(id))),
  'sessions.payload.state': member('sessions', 'state', [text('uid')], ([uid]) => sessions.stateIdentity(String(uid))),
  'artifacts.payload.sealed': member('artifacts', 'sealed', [bytea('id_hash'), text('model')], ([hash, model]) => artifacts.identity(String(model), hash as Buffer)),
} satisfies Record<string, Column>

/** A place that stores sealed values. */
export type Place = keyof typeof columns

export const places = Object.keys(columns) as Place[]

/**
 * Reads the next rows after a row key, and returns those whose value is sealed with another key than `keyId`. `last` is
 * the row key to continue from; undefined after the last row.
 */
export async function listStale(
  db: Db,
  place: Place,
  { keyId, after, limit }: { keyId: string; after: RowKey | undefined; limit: number },
): Promise<{ values: StaleValue[]; last: RowKey | undefined }> {
  const { table, key, sealed, identity }: Column = columns[place]
  const names = key.map(({ name }) => `t.${name}`).join(', ')
  const first = key.map(({ type }, index) => `$${index + 3}::${type}`).join(', ')
  const { rows } = await db.executeQuery<Record<string, string | Buffer> & { stale: string | null }>(
    CompiledQuery.raw(
      `select ${names}, case when split_part(${sealed('t')}, '.', 2) <> $1 then ${sealed('t')} end as stale
       from ${table} t ${after ? `where (${names}) > (${first})` : ''} order by ${names} limit $2`,
      [keyId, limit, ...(after ?? [])],
    ),
  )
  const keyOf = (row: (typeof rows)[number]): RowKey =>
    key.map(({ name }) => {
      const value = row[name]
      if (value === undefined || value === null) throw new Error(`A row of ${table} was read without its ${name}.`)
      return value
    })
  const last = rows.length === limit ? rows.at(-1) : undefined
  return {
    values: rows.flatMap((row) =>
      row.stale === null ? [] : [{ key: keyOf(row), identity: identity(keyOf(row)), sealed: row.stale }],
    ),
    last: last && keyOf(last),
  }
}

/**
 * Replaces values that were read, and returns how many. It skips a row whose value changed since, and a row that is
 * locked: it never waits, so it cannot deadlock with a request.
 */
export async function replace(
  db: Db,
  place: Place,
  values: readonly { key: RowKey; sealed: string; renewed: string }[],
): Promise<number> {
  if (values.length === 0) return 0
  const { table, key, sealed, assign }: Column = columns[place]
  const names = key.map(({ name }) => name)
  const types = [...key.map(({ type }) => type), 'text', 'text']
  const isRow = (a: string, b: string) => names.map((name) => `${a}.${name} = ${b}.${name}`).join(' and ')
  const { rows } = await db.executeQuery(
    CompiledQuery.raw(
      `update ${table} t set ${assign('free.renewed')}
       from (
         select n.* from unnest(${types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')})
           as n(${names.join(', ')}, stale, renewed)
         join ${table} o on ${isRow('o', 'n')} and ${sealed('o')} = n.stale
         for no key update of o skip locked
       ) as free
       where ${isRow('t', 'free')} and ${sealed('t')} = free.stale
       returning 1`,
      [
        ...names.map((_, index) => values.map((value) => value.key[index])),
        values.map((value) => value.sealed),
        values.map((value) => value.renewed),
      ],
    ),
  )
  return rows.length
}

/** Counts how many values of a place are sealed with each key, and how many are not sealed values. Reads all rows. */
export async function countByKey(db: Db, place: Place): Promise<{ keyId: string | undefined; count: number }[]> {
  const { table, sealed }: Column = columns[place]
  const { rows } = await db.executeQuery<{ head: string; count: number }>(
    CompiledQuery.raw(
      `select left(${sealed('t')}, 12) as head, count(*)::int as count from ${table} t
       where ${sealed('t')} is not null group by 1 order by 1`,
    ),
  )
  const counts = new Map<string | undefined, number>()
  for (const { head, count } of rows) counts.set(keyIdOf(head), (counts.get(keyIdOf(head)) ?? 0) + count)
  return [...counts].map(([keyId, count]) => ({ keyId, count }))
}

/** Counts the sealed values of all places together, by key. */
export async function countAllByKey(db: Db): Promise<Map<string | undefined, number>> {
  const sums = new Map<string | undefined, number>()
  await db.transaction().execute(async (tx) => {
    await sql`select set_config('statement_timeout', ${countTimeout}, true)`.execute(tx)
    for (const place of places) {
      for (const { keyId, count } of await countByKey(tx, place)) sums.set(keyId, (sums.get(keyId) ?? 0) + count)
    }
  })
  return sums
}

const countTimeout = '10min' // an administrator asked for it, and waits
