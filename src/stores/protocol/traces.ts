import { sql } from 'kysely'
import type { Db } from '../../database/schema.ts'
import type { ArtifactModel } from './models.ts'

/** The remaining record of a code or token, in whatever state. Times are in milliseconds since 1970. */
export type ArtifactTrace = {
  clientId: string | undefined
  expiresAtMs: number | undefined
  consumedAtMs: number | undefined
  isDestroyed: boolean
}

/** The remaining record of a client, in whatever state. Times are in milliseconds since 1970. */
export type ClientTrace = {
  disabledAtMs: number | undefined
  deletedAtMs: number | undefined
  expiresAtMs: number | undefined
  /** The last time that its secret was rotated or set, and the expiry of the secret before that. */
  secretReplacedAtMs: number | undefined
  previousSecretExpiresAtMs: number | undefined
}

/** Finds a code or token in any state, to explain why it cannot be used. */
export async function ofArtifact(
  db: Db,
  { model, idHash }: { model: ArtifactModel; idHash: Buffer },
): Promise<ArtifactTrace | undefined> {
  const row = await db
    .selectFrom('artifacts')
    .select(['client_id', 'expires_at', 'consumed_at', 'destroyed_at'])
    .where('id_hash', '=', idHash)
    .where('model', '=', model)
    .executeTakeFirst()
  return (
    row && {
      clientId: row.client_id ?? undefined,
      expiresAtMs: row.expires_at?.getTime(),
      consumedAtMs: row.consumed_at?.getTime(),
      isDestroyed: row.destroyed_at !== null,
    }
  )
}

const latest = 200 // events of a client that are searched, however many it has

/** Finds a client in any state, to explain why it cannot be used. */
export async function ofClient(db: Db, id: string): Promise<ClientTrace | undefined> {
  const row = await db
    .selectFrom('clients')
    .select(['disabled_at', 'deleted_at', 'expires_at', 'previous_secret_expires_at'])
    .select((select) =>
      select
        .selectFrom((events) =>
          events
            .selectFrom('audit_events')
            .select(['occurred_at', 'type'])
            .where('client_id', '=', id)
            .orderBy('occurred_at', 'desc')
            .limit(latest)
            .as('latest'),
        )
        .select(({ fn }) => fn.max('occurred_at').as('at'))
        .where(sql<boolean>`type in ('client.secret_rotated', 'client.secret_set')`)
        .as('replaced_at'),
    )
    .where('id', '=', id)
    .executeTakeFirst()
  return (
    row && {
      disabledAtMs: row.disabled_at?.getTime(),
      deletedAtMs: row.deleted_at?.getTime(),
      expiresAtMs: row.expires_at?.getTime(),
      secretReplacedAtMs: row.replaced_at?.getTime(),
      previousSecretExpiresAtMs: row.previous_secret_expires_at?.getTime(),
    }
  )
}
