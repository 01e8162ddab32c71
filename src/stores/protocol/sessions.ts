import { CompiledQuery, sql } from 'kysely'
import type { Db, Row, Tx } from '../../database/schema.ts'
import { type Joined, joined, joinedReader } from '../joins.ts'
import { type Account, type JoinedAccount, joinedAccount, joinedAccountColumns } from '../people/account-rows.ts'

type Payload = Record<string, unknown>

/** A browser session. It stays one row, with one `uid`, however often the identifier in the cookie is rotated. */
export type StoredSession = {
  uid: string
  accountId: string | undefined
  payload: Payload
  /** The engine's records about each client, by client id. */
  authorizations: Payload
}

/** The identity that the `state` of a session's payload is sealed for. */
export const stateIdentity = (uid: string): string => `sessions.state:${uid}`

/** The columns of a session in every query that reads one. The first is the key. */
const columns = ['uid', 'account_id', 'payload', 'authorizations'] as const

type SessionRow = Row<'sessions', (typeof columns)[number]>

/** The same columns for a query that joins `sessions s`. */
export const joinedSessionColumns = joined('s', columns)

/** The part of a joined row that is a session. */
export type JoinedSession = Joined<'s', SessionRow>

const readJoined = joinedReader<'s', SessionRow>('s', columns)

/** Reads the session from a row of another table that was joined with it. */
export function joinedSession(row: JoinedSession): StoredSession | undefined {
  const session = readJoined(row)
  return session && toSession(session)
}

function toSession(row: SessionRow): StoredSession {
  return {
    uid: row.uid,
    accountId: row.account_id ?? undefined,
    payload: row.payload,
    authorizations: row.authorizations,
  }
}

const select = `
  select ${columns.map((column) => `s.${column}`).join(', ')}, s.id_hash, s.previous_id_hash, ${joinedAccountColumns}
  from sessions s left join accounts u on u.id = s.account_id
  where s.destroyed_at is null and s.expires_at > $2 and u.disabled_at is null`

type FoundRow = JoinedAccount & SessionRow & Row<'sessions', 'id_hash' | 'previous_id_hash'>

async function run(db: Db, condition: string, key: unknown): Promise<FoundRow[]> {
  return (await db.executeQuery<FoundRow>(CompiledQuery.raw(`${select} and ${condition}`, [key, new Date()]))).rows
}

export type FoundSession = StoredSession & { account: Account | undefined }

/** Finds the live sessions of cookies, with their accounts, in the order of the hashes, in one round trip. */
export async function findByIdHashes(db: Db, idHashes: Buffer[]): Promise<(FoundSession | undefined)[]> {
  const rows = await run(db, '(s.id_hash = any($1) or s.previous_id_hash = any($1))', idHashes)
  return idHashes.map((hash) => {
    const row = rows.find((candidate) => hash.equals(candidate.id_hash) || candidate.previous_id_hash?.equals(hash))
    return row && toFoundSession(row)
  })
}

/** Finds the live session with a uid, with its account. */
export async function findByUid(db: Db, uid: string): Promise<FoundSession | undefined> {
  const [row] = await run(db, 's.uid = $1', uid)
  return row && toFoundSession(row)
}

/** Locks a session of an account until the transaction ends. `false` if the account no longer has this session. */
export async function hold(tx: Tx, { uid, accountId }: { uid: string; accountId: string }): Promise<boolean> {
  const row = await tx
    .selectFrom('sessions')
    .select('uid')
    .where('uid', '=', uid)
    .where('account_id', '=', accountId)
    .where('destroyed_at', 'is', null)
    .forShare()
    .executeTakeFirst()
  return row !== undefined
}

/** Ends the sessions of an account, except one if its uid is given. */
export async function destroyByAccount(
  tx: Tx,
  accountId: string,
  { keptUid }: { keptUid?: string | undefined } = {},
): Promise<void> {
  const live = tx
    .updateTable('sessions')
    .set(ended())
    .where('account_id', '=', accountId)
    .where('destroyed_at', 'is', null)
  await (keptUid === undefined ? live : live.where('uid', '!=', keptUid)).execute()
}

/** Returns what remains of an ended session: that it has ended. */
function ended() {
  const forgotten = { user_agent: null, first_address: null, last_address: null }
  return { destroyed_at: new Date(), payload: '{}', authorizations: '{}', ...forgotten }
}

/** A session as its owner sees it. */
export type SessionRecord = {
  uid: string
  userAgent: string | undefined
  firstAddress: string | undefined
  lastAddress: string | undefined
  createdAt: Date
  lastSeenAt: Date
  expiresAt: Date
  /** The apps that the person signed in to. */
  clientIds: string[]
}

/** Lists the live sessions of an account, the last used first. */
export async function listByAccount(db: Db, accountId: string): Promise<SessionRecord[]> {
  const rows = await db
    .selectFrom('sessions')
    .select(['uid', 'user_agent', 'first_address', 'last_address', 'created_at', 'last_seen_at', 'expires_at'])
    .select('authorizations')
    .where('account_id', '=', accountId)
    .where('destroyed_at', 'is', null)
    .where('expires_at', '>', new Date())
    .execute()
  return rows
    .map((row) => ({
      uid: row.uid,
      userAgent: row.user_agent ?? undefined,
      firstAddress: row.first_address ?? undefined,
      lastAddress: row.last_address ?? undefined,
      createdAt: row.created_at,
      lastSeenAt: row.last_seen_at ?? row.created_at,
      expiresAt: row.expires_at,
      clientIds: Object.keys(row.authorizations),
    }))
    .sort((a, b) => b.lastSeenAt.getTime() - a.lastSeenAt.getTime())
}

/** The sessions of an account to end: one, all but one, or those that rest on a sign-in at an upstream provider. */
export type Ending =
  | { accountId: string; uid: string }
  | { accountId: string; exceptUid: string | undefined }
  | { accountId: string; upstream: UpstreamSession }

/** A session at an upstream provider; all of them if it has no `sid`. */
export type UpstreamSession = { provider: string; sid?: string | undefined }

const restsOn = (upstream: UpstreamSession) =>
  sql<boolean>`payload->'proofs' @> ${JSON.stringify([{ method: 'upstream', ...upstream }])}::jsonb`

/** Lists the accounts that are signed in by a session at an upstream provider. */
export async function accountsOfUpstream(db: Db, upstream: UpstreamSession): Promise<string[]> {
  const rows = await db
    .selectFrom('sessions')
    .select('account_id')
    .distinct()
    .where('account_id', 'in', (of) =>
      of.selectFrom('identities').select('account_id').where('provider_id', '=', upstream.provider),
    )
    .where('destroyed_at', 'is', null)
    .where(restsOn(upstream))
    .execute()
  return rows.flatMap(({ account_id }) => account_id ?? [])
}

/** Ends sessions of an account, and returns them as they were. */
export async function end(tx: Tx, ending: Ending): Promise<StoredSession[]> {
  const rows = await tx
    .selectFrom('sessions')
    .select(columns)
    .where('account_id', '=', ending.accountId)
    .where('destroyed_at', 'is', null)
    .$if('uid' in ending, (query) => query.where('uid', '=', 'uid' in ending ? ending.uid : ''))
    .$if('exceptUid' in ending, (query) => query.where('uid', '<>', ('exceptUid' in ending && ending.exceptUid) || ''))
    .$if('upstream' in ending, (query) =>
      query.where(restsOn('upstream' in ending ? ending.upstream : { provider: '' })),
    )
    .orderBy('uid')
    .forUpdate()
    .execute()
  const uids = rows.map(({ uid }) => uid)
  if (uids.length > 0) await tx.updateTable('sessions').set(ended()).where('uid', 'in', uids).execute()
  return rows.map(toSession)
}

function toFoundSession(row: FoundRow): FoundSession {
  return { ...toSession(row), account: joinedAccount(row) }
}
