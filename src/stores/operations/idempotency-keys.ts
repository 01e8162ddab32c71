import type { Tx } from '../../database/schema.ts'

/** What is known of a key: that it is new and now ours, or what was answered to the request that it came with before. */
export type Claim = 'new' | { requestHash: Buffer; responseSealed: string }

/** What an answer is sealed for. */
export const identity = (keyHash: Buffer): string => `idempotency_keys.response:${keyHash.toString('hex')}`

/**
 * Claims a key for the request of this transaction. Another transaction that claims it at the same moment waits
 * here for the end of the first, and then finds its answer; or, if the first came to nothing, has the key itself.
 */
export async function claim(
  tx: Tx,
  { keyHash, requestHash, expiresAt }: { keyHash: Buffer; requestHash: Buffer; expiresAt: Date },
): Promise<Claim> {
  const now = new Date()
  const claimed = await tx
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
  if (claimed) return 'new'
  const row = await tx
    .selectFrom('idempotency_keys')
    .select(['request_hash', 'response_sealed'])
    .where('key_hash', '=', keyHash)
    .executeTakeFirstOrThrow()
  return { requestHash: row.request_hash, responseSealed: row.response_sealed ?? '' }
}

/** Keeps the answer, sealed, with the key that was claimed in this transaction. */
export async function keep(tx: Tx, keyHash: Buffer, responseSealed: string): Promise<void> {
  await tx
    .updateTable('idempotency_keys')
    .set({ response_sealed: responseSealed })
    .where('key_hash', '=', keyHash)
    .execute()
}
