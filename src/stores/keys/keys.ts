import type { JWK } from 'jose'
import { sql } from 'kysely'
import { type Envelope, keyIdOf } from '../../crypto/envelope.ts'
import type { Db, Row, Tx } from '../../database/schema.ts'
import { type Secret, secret } from '../../secret.ts'

/** The states of a key, in order. docs/keys.md describes each. */
export const states = ['pending', 'published', 'active', 'retired', 'removed'] as const

export type KeyState = (typeof states)[number]

/** A key without its secret. Each time is that of its entry into a state. */
export type Key = {
  /** The `kid` of a signing key (RFC 7517 §4.5). */
  id: string
  /** The algorithm of a signing key, or the use of a secret that all processes share. */
  purpose: string
  state: KeyState
  /** The public part of a signing key. */
  publicJwk: JWK | undefined
  /** Whether the database stores its secret. */
  isKept: boolean
  /** The reference of the private key in a key-management service, if it is in one. */
  serviceReference: string | undefined
  createdAt: Date
  publishedAt: Date | undefined
  activeAt: Date | undefined
  retiredAt: Date | undefined
  removedAt: Date | undefined
  revokedAt: Date | undefined
  /** The time of a request for early rotation to the next key. */
  rotationRequestedAt: Date | undefined
}

/** A key with its secret, which the database stores until the key is retired, unless it is in a service. */
export type OpenedKey = Key & { value: Secret | undefined }

export type NewKey = {
  id: string
  purpose: string
  value?: Secret | undefined
  publicJwk?: JWK | undefined
  serviceReference?: string | undefined
}

/** The channel that notifies processes of changed keys. */
export const changedChannel = 'postern_keys'

// The names in the identities are those of the two tables that stored the first keys: a value is sealed for its name.
const sharedSecrets = ['cookie-key', 'dpop-nonce', 'pairwise-salt', 'pepper']

/** Returns the identity that a key's value is sealed for. */
export function identity({ id, purpose }: { id: string; purpose: string }): string {
  return sharedSecrets.includes(purpose) ? `shared_secrets.value:${id}` : `signing_keys.private_jwk:${id}`
}

const columns = [
  'id',
  'purpose',
  'state',
  'sealed',
  'public_jwk',
  'service_reference',
  'created_at',
  'published_at',
  'active_at',
  'retired_at',
  'removed_at',
  'revoked_at',
  'rotation_requested_at',
] as const

/** Returns whether a key waits to take over. */
export function isNext({ state }: Key): boolean {
  return state === 'pending' || state === 'published'
}

/** Lists all keys there ever were, oldest first. */
export async function list(db: Db): Promise<Key[]> {
  const rows = await db.selectFrom('keys').select(columns).orderBy('created_at').orderBy('id').execute()
  return rows.map(toKey)
}

/** Lists all keys with their secrets. Throws if one cannot be opened. */
export async function open(db: Db, envelope: Envelope): Promise<OpenedKey[]> {
  const rows = await db.selectFrom('keys').select(columns).orderBy('created_at').orderBy('id').execute()
  return rows.map((row) => ({
    ...toKey(row),
    value: row.sealed === null ? undefined : secret(envelope.open(row.sealed, identity(row))),
  }))
}

/**
 * Lists the ids of the key-encryption keys that keys are sealed with, in a schema of this or an earlier release, or in
 * none.
 */
export async function sealingKeyIds(db: Db): Promise<string[]> {
  const columns = { keys: 'sealed', signing_keys: 'private_jwk_sealed', shared_secrets: 'value_sealed' }
  const found = await Promise.all(
    Object.entries(columns).map(async ([table, column]) => {
      const { rows: there } = await sql<{ is: boolean }>`select to_regclass(${table}) is not null as is`.execute(db)
      if (!there[0]?.is) return []
      const { rows } = await sql<{ sealed: string }>`
        select distinct left(${sql.ref(column)}, 12) as sealed from ${sql.table(table)}
        where ${sql.ref(column)} is not null`.execute(db)
      return rows.flatMap(({ sealed }) => keyIdOf(sealed) ?? [])
    }),
  )
  return found.flat()
}

/**
 * Returns a text that changes whenever keys must be used differently, so that a process can compare it with its own. A
 * pending key counts as published, because every process that knows it publishes it.
 */
export async function version(db: Db): Promise<string> {
  const rows = await db.selectFrom('keys').select(['id', 'state', 'revoked_at']).orderBy('id').execute()
  return rows
    .map(({ id, state, revoked_at }) => `${id} ${revoked_at ? 'revoked' : state === 'pending' ? 'published' : state}`)
    .join('\n')
}

/** Lets one process at a time decide about keys, until its transaction ends. Later ones wait. */
export async function lead(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${leadership})`.execute(tx)
}

/** Leads like `lead`, but returns `false` instead of waiting for another process. */
export async function tryLead(tx: Tx): Promise<boolean> {
  const { rows } = await sql<{ leads: boolean }>`select pg_try_advisory_xact_lock(${leadership}) as leads`.execute(tx)
  return rows[0]?.leads === true
}

const leadership = 0x6b657973 // "keys"

/** Adds a key, as `pending`, or as `active` if its purpose has no active key. */
export async function add(
  tx: Tx,
  envelope: Envelope,
  key: NewKey,
  { state, at }: { state: 'pending' | 'active'; at: Date },
): Promise<void> {
  const since = state === 'active' ? at : null
  await tx
    .insertInto('keys')
    .values({
      id: key.id,
      purpose: key.purpose,
      state,
      sealed: key.value ? envelope.seal(key.value.reveal(), identity(key)) : null,
      public_jwk: key.publicJwk ? JSON.stringify(key.publicJwk) : null,
      service_reference: key.serviceReference ?? null,
      created_at: at,
      published_at: since,
      active_at: since,
    })
    .execute()
  await announce(tx)
}

export async function publish(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.updateTable('keys').set({ state: 'published', published_at: at }).where('id', '=', id).execute()
  await announce(tx)
}

/** Makes a key the one that is used for its purpose. */
export async function activate(tx: Tx, id: string, at: Date): Promise<void> {
  await tx
    .updateTable('keys')
    .set({ state: 'active', published_at: sql`coalesce(published_at, ${at})`, active_at: at })
    .where('id', '=', id)
    .execute()
  await announce(tx)
}

/** Ends the use of a key. Erases its secret, unless the key also verifies with it. */
export async function retire(tx: Tx, id: string, at: Date): Promise<void> {
  await tx
    .updateTable('keys')
    .set({ state: 'retired', retired_at: at, sealed: sql`case when public_jwk is null then sealed end` })
    .where('id', '=', id)
    .execute()
  await announce(tx)
}

/** Ends the publication of a key. A revoked key also stops verifying. */
export async function remove(
  tx: Tx,
  id: string,
  { at, isRevoked = false }: { at: Date; isRevoked?: boolean },
): Promise<void> {
  await tx
    .updateTable('keys')
    .set({
      state: 'removed',
      sealed: null,
      retired_at: sql`coalesce(retired_at, ${at})`,
      removed_at: at,
      ...(isRevoked && { revoked_at: at }),
    })
    .where('id', '=', id)
    .execute()
  await announce(tx)
}

/** Asks for the next key to take over from this one as soon as possible. */
export async function requestRotation(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.updateTable('keys').set({ rotation_requested_at: at }).where('id', '=', id).execute()
  await announce(tx)
}

/** Records that a key-management service destroyed the private key. */
export async function setDestroyed(tx: Tx, id: string): Promise<void> {
  await tx.updateTable('keys').set({ service_reference: null }).where('id', '=', id).execute()
}

/** Stores the public part of a signing key apart from its secret. */
export async function setPublicJwk(db: Db, id: string, publicJwk: JWK): Promise<void> {
  await db
    .updateTable('keys')
    .set({ public_jwk: JSON.stringify(publicJwk) })
    .where('id', '=', id)
    .execute()
}

async function announce(tx: Tx): Promise<void> {
  await sql`select pg_notify(${changedChannel}, '')`.execute(tx)
}

function toKey(row: Row<'keys', (typeof columns)[number]>): Key {
  return {
    id: row.id,
    purpose: row.purpose,
    state: row.state as KeyState,
    publicJwk: row.public_jwk ?? undefined,
    isKept: row.sealed !== null,
    serviceReference: row.service_reference ?? undefined,
    createdAt: row.created_at,
    publishedAt: row.published_at ?? undefined,
    activeAt: row.active_at ?? undefined,
    retiredAt: row.retired_at ?? undefined,
    removedAt: row.removed_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    rotationRequestedAt: row.rotation_requested_at ?? undefined,
  }
}
