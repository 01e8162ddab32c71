import { sql } from 'kysely'
import type { Tx } from '../../database/schema.ts'

/** Ends every code and token that was issued to a client, but not what manages it. */
export async function revokeIssued(tx: Tx, id: string): Promise<void> {
  await lockGrants(tx, id)
  await tx
    .deleteFrom('artifacts')
    .where('client_id', '=', id)
    .where(sql<boolean>`(grant_id is not null or model = 'ClientCredentials')`)
    .execute()
}

/** Ends every code of a client that was not redeemed yet. */
export async function revokeCodes(tx: Tx, id: string): Promise<void> {
  await lockGrants(tx, id)
  await tx
    .deleteFrom('artifacts')
    .where('client_id', '=', id)
    .where('model', '=', 'AuthorizationCode')
    .where('consumed_at', 'is', null)
    .execute()
}

/** Grants are locked before what is under them, as a request does: it finishes before, or finds nothing left to redeem. */
async function lockGrants(tx: Tx, id: string): Promise<void> {
  await tx.selectFrom('grants').select('id').where('client_id', '=', id).orderBy('id').forUpdate().execute()
}
