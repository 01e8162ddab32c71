import type { JWK } from 'jose'
import { sql } from 'kysely'
import { type Envelope, keyIdOf } from '../../crypto/envelope.ts'
import type { Db, Row, Tx } from '../../database/schema.ts'
import { type Secret, secret } from '../../secret.ts'

/** What a key goes through, in this order. docs/keys.md says what each means. */
export const states = ['pending', 'published', 'active', 'retired', 'removed'] as const

export type KeyState = (typeof states)[number]

/** A key as everybody may know it. Its moments are those at which it came into a state. */
export type Key = {
  /** The `kid` of a signing key (RFC 7517 §4.5). */
  id: string
  /** The algorithm of a signing key, or what a secret is for that all processes share. */
  purpose: string
  state: KeyState
  /** Of signing keys. */
  publicJwk: JWK | undefined
  /** Whether its secret is in the database. */
  isKept: boolean
  /** Where a key-management service keeps the private key, if one does. */
  serviceReference: string | undefined
  createdAt: Date
  publishedAt: Date | undefined
  activeAt: Date | undefined
  retiredAt: Date | undefined
  removedAt: Date | undefined
  revokedAt: Date | undefined
  /** When somebody asked for the next key to take over, rather than at the usual time. */
  rotationRequestedAt: Date | undefined
}

/** A key and its secret, which is there until the key is retired, unless a service keeps it. */
export type OpenedKey = Key & { value: Secret | undefined }

export type NewKey = {
  id: string
  purpose: string
  value?: Secret | undefined
  publicJwk?: JWK | undefined
  serviceReference?: string | undefined
}

/** The channel on which processes are told that keys changed. */
export const changedChannel = 'postern_keys'

// Named as the two tables were that the first keys are from: the name is sealed with the value.
const sharedSecrets = ['cookie-key', 'dpop-nonce', 'pairwise-salt', 'pepper']

/** What a key's value is sealed for: its place. */
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

/** Whether a key waits to take over. */
export function isNext({ state }: Key): boolean {
  return state === 'pending' || state === 'published'
}

/** All keys there ever were, oldest first. */
export async function list(db: Db): Promise<Key[]> {
  const rows = await db.selectFrom('keys').select(columns).orderBy('created_at').orderBy('id').execute()
  return rows.map(toKey)
}

/** All keys with what they are worth. Throws when one cannot be opened. */
export async function open(db: Db, envelope: Envelope): Promise<OpenedKey[]> {
  const rows = await db.selectFrom('keys').select(columns).orderBy('created_at').orderBy('id').execute()
  return rows.map((row) => ({
    ...toKey(row),
    value: row.sealed === null ? undefined : secret(envelope.open(row.sealed, identity(row))),
  }))
}

/** The ids of the key-encryption keys that keys are sealed with, be the schema of this release, an earlier one, or none. */
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
 * Something that differs whenever keys are to be used differently, for processes to compare with what they have. A key
 * that is pending is published by who knows of it.
 */
export async function version(db: Db): Promise<string> {
  const rows = await db.selectFrom('keys').select(['id', 'state', 'revoked_at']).orderBy('id').execute()
  return rows
    .map(({ id, state, revoked_at }) => `${id} ${revoked_at ? 'revoked' : state === 'pending' ? 'published' : state}`)
    .join('\n')
}

/** Lets one process at a time decide about keys, until its transaction ends; those that come later wait. */
export async function lead(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${leadership})`.execute(tx)
}

/** As `lead`, but says `false` instead of waiting when another process is at it. */
export async function tryLead(tx: Tx): Promise<boolean> {
  const { rows } = await sql<{ leads: boolean }>`select pg_try_advisory_xact_lock(${leadership}) as leads`.execute(tx)
  return rows[0]?.leads === true
}

const leadership = 0x6b657973 // "keys"

/** Adds a key that begins its life now, as `pending`, or as `active` when there is nothing to rotate from. */
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

/** Makes a key the one that signs. */
export async function activate(tx: Tx, id: string, at: Date): Promise<void> {
  await tx
    .updateTable('keys')
    .set({ state: 'active', published_at: sql`coalesce(published_at, ${at})`, active_at: at })
    .where('id', '=', id)
    .execute()
  await announce(tx)
}

/** Ends the use of a key. What it signed with is erased, unless it verifies with the same. */
export async function retire(tx: Tx, id: string, at: Date): Promise<void> {
  await tx
    .updateTable('keys')
    .set({ state: 'retired', retired_at: at, sealed: sql`case when public_jwk is null then sealed end` })
    .where('id', '=', id)
    .execute()
  await announce(tx)
}

/** Ends the publication of a key. One that is revoked is good for nothing from then on. */
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

/** Asks for the next key to take over from this one as soon as it may. */
export async function requestRotation(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.updateTable('keys').set({ rotation_requested_at: at }).where('id', '=', id).execute()
  await announce(tx)
}

/** Says that no service keeps a private key any more. */
export async function setDestroyed(tx: Tx, id: string): Promise<void> {
  await tx.updateTable('keys').set({ service_reference: null }).where('id', '=', id).execute()
}

/** Keeps the public part of a signing key by itself. */
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
