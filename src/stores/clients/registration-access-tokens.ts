import type { Tx } from '../../database/schema.ts'

/**
 * Deletes the tokens with which a client manages its registration (RFC 7592 §3). Returns how many there were. The client
 * has to be locked: a change that is under way then either came first, or finds its token gone.
 */
export async function revoke(tx: Tx, clientId: string): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('artifacts')
    .where('client_id', '=', clientId)
    .where('model', '=', 'RegistrationAccessToken')
    .executeTakeFirstOrThrow()
  return Number(numDeletedRows)
}
