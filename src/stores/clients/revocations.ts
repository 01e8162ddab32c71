import { sql } from 'kysely'
import type { Tx } from '../../database/schema.ts'

/** Revokes every code and token that was issued to a client, but not the tokens that manage its registration. */
export async function revokeIssued(tx: Tx, id: string): Promise<void> {
  await lockGrants(tx, id)
  await tx
    .deleteFrom('artifacts')
    .where('client_id', '=', id)
    .where(sql<boolean>`(grant_id is not null or model = 'ClientCredentials')`)
    .execute()
}

/** Revokes every code of a client that was not redeemed yet. */
export async function revokeCodes(tx: Tx, id: string): Promise<void> {
  await lockGrants(tx, id)
  await tx
    .deleteFrom('artifacts')
    .where('client_id', '=', id)
    .where('model', '=', 'AuthorizationCode')
    .where('consumed_at', 'is', null)
    .execute()
}

/** Locks grants before the tokens under them, as a request does: it finishes first, or finds nothing left to redeem. */
async function lockGrants(tx: Tx, id: string): Promise<void> {
  await tx.selectFrom('grants').select('id').where('client_id', '=', id).orderBy('id').forUpdate().execute()
}
