import { CompiledQuery } from 'kysely'
import type { Db, Tx } from '../database/schema.ts'
import type { Account } from './accounts.ts'

type Payload = Record<string, unknown>

/** A browser session. It is one row by `uid`, however often the identifier in the cookie is rotated. */
export type StoredSession = {
  uid: string
  accountId: string | undefined
  payload: Payload
  /** What the session knows of each client, by client id. */
  authorizations: Payload
}

const select = `
  select s.uid, s.account_id, s.payload, s.authorizations, u.id as u_id, u.email, u.email_verified, u.profile
  from sessions s left join accounts u on u.id = s.account_id
  where s.destroyed_at is null and s.expires_at > $2 and u.disabled_at is null`

type Row = {
  uid: string
  account_id: string | null
  payload: Payload
  authorizations: Payload
  u_id: string | null
  email: string
  email_verified: boolean
  profile: Payload
}

async function one(db: Db, condition: string, key: unknown) {
  const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(`${select} and ${condition}`, [key, new Date()]))
  return rows[0] && toSession(rows[0])
}

export type FoundSession = StoredSession & { account: Account | undefined }

/** The live session a cookie names, with its account. */
export function findByIdHash(db: Db, idHash: Buffer): Promise<FoundSession | undefined> {
  return one(db, '(s.id_hash = $1 or s.previous_id_hash = $1)', idHash)
}

/** The live session of a uid, with its account. */
export function findByUid(db: Db, uid: string): Promise<FoundSession | undefined> {
  return one(db, 's.uid = $1', uid)
}

/** Ends every session of an account. */
export async function destroyByAccount(tx: Tx, accountId: string): Promise<void> {
  await tx
    .updateTable('sessions')
    .set({ destroyed_at: new Date(), payload: '{}', authorizations: '{}' })
    .where('account_id', '=', accountId)
    .where('destroyed_at', 'is', null)
    .execute()
}

function toSession(row: Row): FoundSession {
  return {
    uid: row.uid,
    accountId: row.account_id ?? undefined,
    payload: row.payload,
    authorizations: row.authorizations,
    account: row.u_id
      ? {
          id: row.u_id,
          email: row.email,
          emailVerified: row.email_verified,
          profile: row.profile,
          isDisabled: false,
        }
      : undefined,
  }
}
