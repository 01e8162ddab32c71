import { sql } from 'kysely'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db, Tx } from '../../database/schema.ts'
import { type Secret, secret as wrap } from '../../secret.ts'
import { announce } from './changes.ts'
import { previousSecretIdentity, secretIdentity, versionAfterSave } from './credentials.ts'
import { revokeIssued } from './revocations.ts'

/** Client metadata in the spelling of RFC 7591 §2, including the secret. */
export type ClientMetadata = Record<string, unknown> & { client_id: string }

/** A client that may be used, with its credentials. */
export type ActiveClient = {
  /** The metadata without the secret. */
  metadata: ClientMetadata
  secret: Secret | undefined
  /** The secret before the last rotation, as long as both are valid. */
  previousSecret: { value: Secret; expiresAtMs: number } | undefined
  /** The version of its credentials. A previous secret that is still valid has the version before. */
  credentialVersion: number
  expiresAtMs: number | undefined
  updatedAtMs: number
  /** Whether it will be removed unless it is used. */
  isUnused: boolean
  /** Whether it registered itself or is described by a document, so that no administrator knows it. */
  isDynamic: boolean
  /** Whether it publishes its metadata as a document. The metadata here is then the last version that was read. */
  isDocument: boolean
  /** The registration policy that it is under. */
  policy: string | undefined
}

/** Finds a client that may be used: not disabled, deleted or past its lifetime. */
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

/** Returns the metadata of a client as the engine expects it: with its secret. */
export function withSecret({ metadata, secret }: ActiveClient): ClientMetadata {
  return { ...metadata, ...(secret && { client_secret: secret.reveal() }) }
}

/** Returns whether there is or was a client of this id that may not be used. */
export async function isGone(db: Db, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('clients')
    .select(['disabled_at', 'deleted_at', 'expires_at'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (!row) return false
  return row.disabled_at !== null || row.deleted_at !== null || (row.expires_at ?? Infinity) <= new Date()
}

/** The circumstances of a registration. They stay as they are: a later update changes only the metadata. */
export type Origin = {
  isDynamic: boolean
  isDocument?: boolean
  /** The policy that judges the client now and at every change. */
  policy: string
  registrationTokenId?: string | undefined
  expiresAt?: Date | undefined
  /** The time of its removal, unless it was used before. */
  unusedExpiresAt?: Date | undefined
}

/**
 * Creates or replaces a client. The secret is sealed and stored apart from the metadata.
 *
 * @returns `'taken'` if `isNew` and there is or was a client of this id; `'gone'` if it was deleted or disabled, which no
 *   update undoes.
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
    // A client without a secret has no previous one, either: it would become valid again with the next secret.
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

/** Locks a client before its tokens, in the same order as deletion, so that the two cannot deadlock. */
export async function lock(tx: Tx, id: string): Promise<void> {
  await tx.selectFrom('clients').select('id').where('id', '=', id).forNoKeyUpdate().execute()
}

/** Deletes a client with everything issued to it. Only its id remains, so that it is never used again. */
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
    .where('built_in', 'is', false)
    .returning('id')
    .executeTakeFirst()
  await revokeIssued(tx, id)
  for (const table of ['grants', 'artifacts', 'client_logos'] as const)
    await tx.deleteFrom(table).where('client_id', '=', id).execute()
  await announce(tx, id)
  return row !== undefined
}

/** Disables or enables a client. While it is disabled, neither it nor its tokens work anywhere. */
export async function setDisabled(tx: Tx, id: string, isDisabled: boolean): Promise<boolean> {
  const row = await tx
    .updateTable('clients')
    .set({ disabled_at: isDisabled ? new Date() : null, updated_at: new Date() })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .where('built_in', 'is', false)
    .returning('id')
    .executeTakeFirst()
  await announce(tx, id)
  return row !== undefined
}

/**
 * Counts the clients under a policy, and locks it against other registrations until the transaction ends. Of two
 * registrations for the last place, only one therefore gets it.
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
