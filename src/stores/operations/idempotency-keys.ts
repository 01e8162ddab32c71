import type { Tx } from '../../database/schema.ts'

/** A key that is now reserved for this request, or the request that used the key before and its answer. */
export type Reservation = 'reserved' | { requestHash: Buffer; responseSealed: string }

/** The identity that an answer is sealed for. */
export const identity = (keyHash: Buffer): string => `idempotency_keys.response:${keyHash.toString('hex')}`

/**
 * Reserves a key for the request of this transaction. Another transaction with the same key waits here until the first
 * one ends. It then finds the answer of the first, or reserves the key itself if the first was rolled back.
 */
export async function reserve(
  tx: Tx,
  { keyHash, requestHash, expiresAt }: { keyHash: Buffer; requestHash: Buffer; expiresAt: Date },
): Promise<Reservation> {
  const now = new Date()
  const reserved = await tx
    .insertInto('idempotency_keys')
    .values({
      key_hash: keyHash,
      request_hash: requestHash,
      response_sealed: null,
      created_at: now,
      expires_at: expiresAt,
    })
    .onConflict((conflict) =>
      conflict
        .column('key_hash')
        .doUpdateSet({ request_hash: requestHash, response_sealed: null, created_at: now, expires_at: expiresAt })
        .where('idempotency_keys.expires_at', '<=', now),
    )
    .returning('key_hash')
    .executeTakeFirst()
  if (reserved) return 'reserved'
  const row = await tx
    .selectFrom('idempotency_keys')
    .select(['request_hash', 'response_sealed'])
    .where('key_hash', '=', keyHash)
    .executeTakeFirstOrThrow()
  // The reservation and its answer are one transaction, so no other one sees a key without an answer.
  if (row.response_sealed === null) throw new Error('An idempotency key is stored without its answer.')
  return { requestHash: row.request_hash, responseSealed: row.response_sealed }
}

/** Stores the sealed answer with the key that this transaction reserved. */
export async function keep(tx: Tx, keyHash: Buffer, responseSealed: string): Promise<void> {
  await tx
    .updateTable('idempotency_keys')
    .set({ response_sealed: responseSealed })
    .where('key_hash', '=', keyHash)
    .execute()
}
