import { sql } from 'kysely'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db, Tx } from '../../database/schema.ts'
import { type Secret, secret as wrap } from '../../secret.ts'
import { announce } from './changes.ts'
import { previousSecretIdentity, secretIdentity, versionAfterSave } from './credentials.ts'
import { revokeIssued } from './revocations.ts'

/** Client metadata as RFC 7591 §2 spells it, the secret included. */
export type ClientMetadata = Record<string, unknown> & { client_id: string }

/** A client that may be used, with what authenticates it. */
export type ActiveClient = {
  /** Without the secret. */
  metadata: ClientMetadata
  secret: Secret | undefined
  /** The secret before the last rotation, for as long as both are good. */
  previousSecret: { value: Secret; expiresAtMs: number } | undefined
  /** The number of its credentials. A secret that is accepted beside the current one has the number before. */
  credentialVersion: number
  expiresAtMs: number | undefined
  updatedAtMs: number
  /** Whether it is to be removed unless it is used. */
  isUnused: boolean
  /** Whether it registered itself, or is described by a document, so that no administrator knows it. */
  isDynamic: boolean
  /** Whether its metadata is a document that it publishes itself. What is here is then what that said last. */
  isDocument: boolean
  /** The registration policy it is under. */
  policy: string | undefined
}

/** A client that may be used: neither disabled nor deleted nor past its lifetime. */
export async function findActive(db: Db, envelope: Envelope, id: string): Promise<ActiveClient | undefined> {
  const row = await db
    .selectFrom('clients')
    .select(['metadata', 'secret_sealed', 'previous_secret_sealed', 'previous_secret_expires_at', 'credential_version'])
    .select(['expires_at', 'updated_at', 'unused_expires_at', 'dynamic', 'document', 'policy'])
    .where('id', '=', id)
    .where('disabled_at', 'is', null)
    .where('deleted_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', new Date())]))
    .executeTakeFirst()
  if (!row) return undefined
  const previous = row.previous_secret_sealed
  return {
    metadata: { ...row.metadata, client_id: id },
    secret: row.secret_sealed === null ? undefined : wrap(envelope.open(row.secret_sealed, secretIdentity(id))),
    previousSecret:
      previous !== null && row.previous_secret_expires_at
        ? {
            value: wrap(envelope.open(previous, previousSecretIdentity(id))),
            expiresAtMs: row.previous_secret_expires_at.getTime(),
          }
        : undefined,
    credentialVersion: row.credential_version,
    expiresAtMs: row.expires_at?.getTime(),
    updatedAtMs: row.updated_at.getTime(),
    isUnused: row.unused_expires_at !== null,
    isDynamic: row.dynamic,
    isDocument: row.document,
    policy: row.policy ?? undefined,
  }
}

/** The metadata of a client as the engine wants it: with its secret. */
export function withSecret({ metadata, secret }: ActiveClient): ClientMetadata {
  return { ...metadata, ...(secret && { client_secret: secret.reveal() }) }
}

/** Whether there is, or ever was, a client of this id that may not be used. */
export async function isGone(db: Db, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('clients')
    .select(['disabled_at', 'deleted_at', 'expires_at'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (!row) return false
  return row.disabled_at !== null || row.deleted_at !== null || (row.expires_at ?? Infinity) <= new Date()
}

/** How a client came to be. Kept from then on: a later update changes its metadata alone. */
export type Origin = {
  isDynamic: boolean
  isDocument?: boolean
  /** The policy that judges the client now and at every change. */
  policy: string
  registrationTokenId?: string | undefined
  expiresAt?: Date | undefined
  /** When it is removed unless it was used before. */
  unusedExpiresAt?: Date | undefined
}

/**
 * Creates or replaces a client; with `isNew` it is `'taken'` when there is or ever was one of this id. `'gone'` when it
 * was deleted or disabled, which no update undoes. The secret is kept sealed, apart from the rest.
 */
export async function save(
  tx: Tx,
  envelope: Envelope,
  { client_id: id, client_secret: secret, ...metadata }: ClientMetadata,
  origin: Origin,
  { isNew = false }: { isNew?: boolean } = {},
): Promise<'saved' | 'gone' | 'taken'> {
  const now = new Date()
  const row = {
    metadata: JSON.stringify(metadata),
    secret_sealed: typeof secret === 'string' ? envelope.seal(secret, secretIdentity(id)) : null,
    updated_at: now,
    // Who has no secret has none from before, either: it would come back with the next one.
    ...(typeof secret !== 'string' && { previous_secret_sealed: null, previous_secret_expires_at: null }),
  }
  const saved = await tx
    .insertInto('clients')
    .values({
      id,
      ...row,
      dynamic: origin.isDynamic,
      document: origin.isDocument ?? false,
      policy: origin.policy,
      registration_token_id: origin.registrationTokenId ?? null,
      expires_at: origin.expiresAt ?? null,
      unused_expires_at: origin.unusedExpiresAt ?? null,
      created_at: now,
    })
    .onConflict((conflict) =>
      isNew
        ? conflict.column('id').doNothing()
        : conflict
            .column('id')
            .doUpdateSet({ ...row, credential_version: versionAfterSave })
            .where('clients.deleted_at', 'is', null)
            .where('clients.disabled_at', 'is', null),
    )
    .returning('id')
    .executeTakeFirst()
  await announce(tx, id)
  return saved ? 'saved' : isNew ? 'taken' : 'gone'
}

/** Locks a client before its tokens, in the order deletion does, so that the two wait for each other and never both. */
export async function lock(tx: Tx, id: string): Promise<void> {
  await tx.selectFrom('clients').select('id').where('id', '=', id).forNoKeyUpdate().execute()
}

/** Deletes a client with all that was issued to it. What remains is its id, so that it is never given out again. */
export async function destroy(tx: Tx, id: string): Promise<boolean> {
  const row = await tx
    .updateTable('clients')
    .set({
      deleted_at: new Date(),
      updated_at: new Date(),
      metadata: '{}',
      secret_sealed: null,
      previous_secret_sealed: null,
      previous_secret_expires_at: null,
    })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  await revokeIssued(tx, id)
  for (const table of ['grants', 'artifacts', 'client_logos'] as const)
    await tx.deleteFrom(table).where('client_id', '=', id).execute()
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

/**
 * Locks a policy against other registrations under it until the transaction ends, and counts the clients it has:
 * so that of two registrations for the last place one gets it.
 */
export async function countUnder(tx: Tx, policy: string): Promise<number> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`clients of ${policy}`}, 0))`.execute(tx)
  const { count } = await tx
    .selectFrom('clients')
    .select((select) => select.fn.countAll<string>().as('count'))
    .where('policy', '=', policy)
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(count)
}
