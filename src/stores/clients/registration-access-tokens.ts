import type { Tx } from '../../database/schema.ts'

/**
 * Deletes the tokens that let a client manage its registration (RFC 7592 §3), and returns how many there were. The
 * client must be locked: a concurrent change then either came first or finds its token deleted.
 */
export async function revoke(tx: Tx, clientId: string): Promise<number> {
  const { numDeletedRows } = await tx
    .deleteFrom('artifacts')
    .where('client_id', '=', clientId)
    .where('model', '=', 'RegistrationAccessToken')
    .executeTakeFirstOrThrow()
  return Number(numDeletedRows)
}
