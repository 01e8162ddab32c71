import { CompiledQuery } from 'kysely'
import type { Db, Row, Tx } from '../../database/schema.ts'
import type { Position } from '../position.ts'

/** An initial access token (RFC 7591 §3), which lets its bearer register clients under its policy. */
export type RegistrationToken = {
  id: string
  policy: string
  /** The number of clients that it may register; `undefined` is any number. */
  maxUses: number | undefined
  uses: number
  createdAt: Date
  expiresAt: Date
  revokedAt: Date | undefined
}

const columns = ['id', 'policy', 'max_uses', 'uses', 'created_at', 'expires_at', 'revoked_at'] as const

type TokenRow = Row<'registration_tokens', (typeof columns)[number]>

export type NewRegistrationToken = {
  id: string
  tokenHash: Buffer
  policy: string
  maxUses: number | undefined
  expiresAt: Date
}

export async function create(db: Db, token: NewRegistrationToken): Promise<void> {
  await db
    .insertInto('registration_tokens')
    .values({
      id: token.id,
      token_hash: token.tokenHash,
      policy: token.policy,
      max_uses: token.maxUses ?? null,
      expires_at: token.expiresAt,
      revoked_at: null,
      created_at: new Date(),
    })
    .execute()
}

/** Finds the token with this hash, if it may still be used. Only `use` counts a use. */
export async function findUsable(db: Db, tokenHash: Buffer): Promise<RegistrationToken | undefined> {
  const row = await db
    .selectFrom('registration_tokens')
    .select(columns)
    .where('token_hash', '=', tokenHash)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', new Date())
    .where((where) => where.or([where('max_uses', 'is', null), where('uses', '<', where.ref('max_uses'))]))
    .executeTakeFirst()
  return row && toToken(row)
}

/**
 * Counts one use and says whether there was one left. Test and count are one statement, in the transaction of the
 * registration: a token for one client registers one, however many requests present it at the same time.
 */
export async function use(tx: Tx, id: string): Promise<boolean> {
  const row = await tx
    .updateTable('registration_tokens')
    .set((set) => ({ uses: set('uses', '+', 1) }))
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', new Date())
    .where((where) => where.or([where('max_uses', 'is', null), where('uses', '<', where.ref('max_uses'))]))
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Revokes a token. `false` if the id is unknown or the token was revoked before. */
export async function revoke(db: Db, id: string): Promise<boolean> {
  const row = await db
    .updateTable('registration_tokens')
    .set({ revoked_at: new Date() })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Lists tokens in the order of their creation, after a position. */
export async function list(
  db: Db,
  { after, limit }: { after: Position | undefined; limit: number },
): Promise<RegistrationToken[]> {
  const text = `select ${columns.join(', ')} from registration_tokens
    ${after ? 'where (created_at, id) > ($2, $3)' : ''} order by created_at, id limit $1`
  const { rows } = await db.executeQuery<TokenRow>(
    CompiledQuery.raw(text, [limit, ...(after ? [after.at, after.id] : [])]),
  )
  return rows.map(toToken)
}

function toToken(row: TokenRow): RegistrationToken {
  return {
    id: row.id,
    policy: row.policy,
    maxUses: row.max_uses ?? undefined,
    uses: row.uses,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at ?? undefined,
  }
}
