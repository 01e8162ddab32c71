import { CompiledQuery, sql } from 'kysely'
import type { Db, Row, Tx } from '../../database/schema.ts'
import { type Account, type JoinedAccount, joinedAccount, joinedAccountColumns } from '../people/account-rows.ts'
import { modelsWith } from './models.ts'
import { type JoinedSession, joinedSession, joinedSessionColumns, type StoredSession } from './sessions.ts'

export type Payload = Record<string, unknown>

/** A record that the engine stores under a bearer value: a code, token, pushed request or interaction. */
export type Artifact = {
  model: string
  idHash: Buffer
  grantId: string | undefined
  /** The login that it descends from: a code, its tokens and their successors. Revoking one revokes all of them. */
  family: string | undefined
  accountId: string | undefined
  clientId: string | undefined
  sessionUid: string | undefined
  userCodeHash: Buffer | undefined
  payload: Payload
  expiresAtSeconds: number | undefined
}

/** An artifact as found, with everything that a token request reads next. */
export type FoundArtifact = Omit<Artifact, 'userCodeHash'> & {
  consumedAtMs: number | undefined
  grant: Payload | undefined
  account: Account | undefined
  session: StoredSession | undefined
}

/** The identity that a sealed payload is sealed for. */
export const identity = (model: string, idHash: Buffer): string =>
  `artifacts.payload:${model}:${idHash.toString('hex')}`

// biome-ignore format: it is a list
const columns = ['id_hash', 'model', 'grant_id', 'family', 'account_id', 'client_id', 'session_uid', 'payload'] as const

type FoundRow = Row<'artifacts', (typeof columns)[number]> &
  JoinedAccount &
  JoinedSession & {
    expires_at: number | null
    consumed_at: number | null
    grant_payload: Payload | null
  }

const quoted = (names: readonly string[]) => names.map((name) => `'${name}'`).join(', ')
const foundExpired = quoted(modelsWith(({ isFoundExpired }) => isFoundExpired))

// The query itself checks client and account, so that a token of a disabled or deleted one is invalid at once.
const select = `
  select ${columns.map((column) => `a.${column}`).join(', ')},
    extract(epoch from a.expires_at)::float8 as expires_at, extract(epoch from a.consumed_at)::float8 * 1000 as consumed_at,
    g.payload as grant_payload,
    ${joinedAccountColumns},
    ${joinedSessionColumns}
  from artifacts a
  left join clients c on c.id = a.client_id
  left join grants g on g.id = a.grant_id
  left join accounts u on u.id = a.account_id
  left join sessions s on s.uid = a.session_uid and s.destroyed_at is null and s.expires_at > $2
  where a.destroyed_at is null and (a.expires_at is null or a.expires_at > $2 or a.model in (${foundExpired}))
    and u.disabled_at is null and c.disabled_at is null and c.deleted_at is null
    and (a.client_id is null or c.id is not null) and (c.expires_at is null or c.expires_at > $3)`

const byHash = `${select} and a.id_hash = any($1)`
const byUserCode = `${select} and a.user_code_hash = any($1)`

// The clock tolerance of the engine: within it, the engine itself answers "expired" instead of "unknown".
const toleranceMs = 60_000

async function run(db: Db, text: string, hashes: Buffer[]): Promise<FoundArtifact[]> {
  const now = Date.now()
  const parameters = [hashes, new Date(now - toleranceMs), new Date(now)]
  const { rows } = await db.executeQuery<FoundRow>(CompiledQuery.raw(text, parameters))
  return rows.map(toArtifact)
}

/** Finds all artifacts under these hashes, of every model, with grant, account and session, in one round trip. */
export function findByHashes(db: Db, idHashes: Buffer[]): Promise<FoundArtifact[]> {
  return run(db, byHash, idHashes)
}

/** Finds the device authorization of a user code (RFC 8628 §3.3). */
export async function findByUserCodeHash(db: Db, userCodeHash: Buffer): Promise<FoundArtifact | undefined> {
  return (await run(db, byUserCode, [userCodeHash]))[0]
}

/**
 * Marks an artifact as used, and says whether this call did it. Test and write are one statement, so that exactly one
 * of two concurrent requests gets `true` (RFC 9126 §4).
 */
export async function consume(db: Db, model: string, idHash: Buffer): Promise<boolean> {
  const row = await db
    .updateTable('artifacts')
    .set({ consumed_at: new Date() })
    .where('id_hash', '=', idHash)
    .where('model', '=', model)
    .where('consumed_at', 'is', null)
    .where('destroyed_at', 'is', null)
    .returning('model')
    .executeTakeFirst()
  return row !== undefined
}

/** Marks an artifact as unused again, for a request that had no effect. */
export async function release(db: Db, model: string, idHash: Buffer): Promise<void> {
  await db
    .updateTable('artifacts')
    .set({ consumed_at: null })
    .where('id_hash', '=', idHash)
    .where('model', '=', model)
    .execute()
}

/**
 * Replaces the payload of an artifact that has not changed since it was read; otherwise `false`. A destroyed artifact
 * is not restored, and the second of two requests that change the same one does not undo the first.
 */
export async function update(db: Db, artifact: Artifact, asRead: Payload): Promise<boolean> {
  const row = await db
    .updateTable('artifacts')
    .set({
      payload: JSON.stringify(artifact.payload),
      expires_at: artifact.expiresAtSeconds === undefined ? null : new Date(artifact.expiresAtSeconds * 1000),
      grant_id: artifact.grantId ?? null,
      account_id: artifact.accountId ?? null,
      session_uid: artifact.sessionUid ?? null,
    })
    .where('id_hash', '=', artifact.idHash)
    .where('model', '=', artifact.model)
    .where('destroyed_at', 'is', null)
    .where('payload', '=', sql<Payload>`${JSON.stringify(asRead)}::jsonb`)
    .returning('model')
    .executeTakeFirst()
  return row !== undefined
}

/** Deletes an artifact. `false` if it did not exist. */
export async function destroy(db: Db, model: string, idHash: Buffer): Promise<boolean> {
  const row = await db
    .deleteFrom('artifacts')
    .where('id_hash', '=', idHash)
    .where('model', '=', model)
    .returning('model')
    .executeTakeFirst()
  return row !== undefined
}

export type Revocation = { grantId: string; family?: string | undefined; sessionUid?: string | undefined }

/**
 * Revokes what was issued under a grant: all of it, one family, or what is bound to one session. Returns the number of
 * deleted artifacts.
 *
 * It first locks the grant, as every issuing statement does. The deletion is a later statement, which therefore sees
 * everything issued before: no token escapes it.
 */
export async function revoke(tx: Tx, { grantId, family, sessionUid }: Revocation): Promise<number> {
  await tx.selectFrom('grants').select('id').where('id', '=', grantId).forUpdate().execute()
  let query = tx.deleteFrom('artifacts').where('grant_id', '=', grantId)
  if (family !== undefined) query = query.where('family', '=', family)
  if (sessionUid !== undefined) {
    query = query.where('session_uid', '=', sessionUid).where(sql<boolean>`payload ? 'expiresWithSession'`)
  }
  const { numDeletedRows } = await query.executeTakeFirstOrThrow()
  return Number(numDeletedRows)
}

function toArtifact(row: FoundRow): FoundArtifact {
  return {
    model: row.model,
    idHash: row.id_hash,
    grantId: row.grant_id ?? undefined,
    family: row.family ?? undefined,
    accountId: row.account_id ?? undefined,
    clientId: row.client_id ?? undefined,
    sessionUid: row.session_uid ?? undefined,
    payload: row.payload,
    expiresAtSeconds: row.expires_at ?? undefined,
    consumedAtMs: row.consumed_at ?? undefined,
    grant: row.grant_payload ?? undefined,
    account: joinedAccount(row),
    session: joinedSession(row),
  }
}

export type InteractionTrace = {
  clientId: string | undefined
  isDestroyed: boolean
  isLive: boolean
  payload: Record<string, unknown>
}

/** Finds an interaction even if it is over, so that a page can say so and name the client. */
export async function findInteraction(db: Db, idHash: Buffer): Promise<InteractionTrace | undefined> {
  const row = await db
    .selectFrom('artifacts')
    .select(['client_id', 'destroyed_at', 'expires_at', 'payload'])
    .where('id_hash', '=', idHash)
    .where('model', '=', 'Interaction')
    .executeTakeFirst()
  if (!row) return undefined
  const isDestroyed = row.destroyed_at !== null
  return {
    clientId: row.client_id ?? undefined,
    isDestroyed,
    isLive: !isDestroyed && row.expires_at !== null && row.expires_at.getTime() > Date.now(),
    payload: row.payload,
  }
}
