import { sql } from 'kysely'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Tx } from '../../database/schema.ts'
import { announce } from './changes.ts'

/** The identities that a client's secret and the previous one are sealed for. */
export const secretIdentity = (id: string): string => `clients.secret:${id}`
export const previousSecretIdentity = (id: string): string => `clients.previous_secret:${id}`

/**
 * The version of a client's credentials after it is saved. It changes when one of them is no longer accepted; added
 * keys do not change it. Secrets are not compared: only a rotation brings another one, and resealing changes the stored
 * value.
 */
export const versionAfterSave = sql<number>`clients.credential_version + case when
  clients.metadata->'token_endpoint_auth_method' is not distinct from excluded.metadata->'token_endpoint_auth_method'
  and clients.metadata->'jwks_uri' is not distinct from excluded.metadata->'jwks_uri'
  and coalesce(excluded.metadata->'jwks' @> (clients.metadata->'jwks'), clients.metadata->'jwks' is null)
  and (clients.secret_sealed is null) = (excluded.secret_sealed is null)
  then 0 else 2 end`

/**
 * Gives a client another secret. The previous one stays valid for `overlapSeconds`, but not beyond its own expiry.
 * After two rotations in a row, the first secret is invalid.
 *
 * @returns the time at which the previous secret expires, if it is still valid; `undefined` if there is no client of this
 *   id with a secret.
 */
export async function rotateSecret(
  tx: Tx,
  envelope: Envelope,
  id: string,
  {
    secret,
    secretExpiresAtSeconds,
    overlapSeconds,
  }: { secret: string; secretExpiresAtSeconds: number; overlapSeconds: number },
): Promise<{ previousExpiresAt: Date | undefined } | undefined> {
  const row = await tx
    .selectFrom('clients')
    .select(['metadata', 'secret_sealed'])
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .where('secret_sealed', 'is not', null)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (!row?.secret_sealed) return undefined
  const now = new Date()
  // RFC 7591 §3.2.1: 0 means never.
  const endMs = Number(row.metadata['client_secret_expires_at'] ?? 0) * 1000 || Number.POSITIVE_INFINITY
  const previousEndMs = Math.min(now.getTime() + overlapSeconds * 1000, endMs)
  const previousExpiresAt = previousEndMs > now.getTime() ? new Date(previousEndMs) : undefined
  await tx
    .updateTable('clients')
    .set({
      metadata: JSON.stringify({ ...row.metadata, client_secret_expires_at: secretExpiresAtSeconds }),
      secret_sealed: envelope.seal(secret, secretIdentity(id)),
      previous_secret_sealed: previousExpiresAt
        ? envelope.seal(envelope.open(row.secret_sealed, secretIdentity(id)), previousSecretIdentity(id))
        : null,
      previous_secret_expires_at: previousExpiresAt ?? null,
      credential_version: sql<number>`credential_version + 1`,
      updated_at: now,
    })
    .where('id', '=', id)
    .execute()
  await announce(tx, id)
  return { previousExpiresAt }
}
