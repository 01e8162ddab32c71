import { sql } from 'kysely'
import { randomId, sha256 } from '../../crypto/digests.ts'
import type { Db, Tx } from '../../database/schema.ts'

/** The thing that an authenticator signs a challenge for. A challenge of one purpose is worth nothing for another. */
export type Purpose =
  | 'passkey-sign-in'
  | 'passkey-second-factor'
  | 'passkey-confirmation'
  | 'passkey-registration'
  /** A passkey that the browser creates by itself after a sign-in with a password. */
  | 'passkey-upgrade'

/** The browser that a challenge belongs to, and what it is for there. */
export type Belonging = { purpose: Purpose; browserHash: Buffer; origin: string }

export type NewChallenge = Belonging & {
  /** The account that it is about, as it must still be when the challenge is redeemed. A sign-in names none. */
  account?: { id: string; epoch: number } | undefined
  /** The user handle of a passkey to create. */
  userHandle?: Buffer | undefined
}

/** The time that a person has to answer: they find their phone or key and unlock it. */
export const lifetimeSeconds = 300

/** Creates a challenge, and returns its value. It replaces the one that the browser had for the same purpose. */
export async function create(db: Db, challenge: NewChallenge): Promise<string> {
  const { purpose, browserHash, origin, account, userHandle } = challenge
  const value = randomId()
  await db
    .with('replaced', (of) =>
      of
        .deleteFrom('challenges')
        .where('browser_hash', '=', browserHash)
        .where('purpose', '=', purpose)
        .where('redeemed_at', 'is', null),
    )
    .insertInto('challenges')
    .values({
      id_hash: sha256(value),
      purpose,
      browser_hash: browserHash,
      origin,
      account_id: account?.id ?? null,
      account_epoch: account?.epoch ?? null,
      user_handle: userHandle ?? null,
      expires_at: new Date(Date.now() + lifetimeSeconds * 1000),
      redeemed_at: null,
    })
    .execute()
  return value
}

/**
 * Redeems the challenge of a new passkey. Only one of several concurrent calls gets it, and only if its account is as
 * it was when the challenge was created. The caller has locked the account.
 *
 * @param belonging.accountId - The account that it must be about; `undefined` for one that does not exist yet.
 */
export async function redeem(
  tx: Tx,
  value: string,
  { purpose, browserHash, origin, accountId }: Belonging & { accountId: string | undefined },
): Promise<{ userHandle: Buffer } | undefined> {
  const now = new Date()
  const row = await tx
    .updateTable('challenges')
    .set({ redeemed_at: now })
    .where('id_hash', '=', sha256(value))
    .where('purpose', '=', purpose)
    .where('browser_hash', '=', browserHash)
    .where('origin', '=', origin)
    .where('redeemed_at', 'is', null)
    .where('expires_at', '>', now)
    .where(sql<boolean>`account_id is not distinct from ${accountId ?? null}`)
    .where(
      sql<boolean>`(account_id is null or exists (select from accounts a where a.id = challenges.account_id
        and a.epoch = challenges.account_epoch and a.disabled_at is null))`,
    )
    .returning('user_handle')
    .executeTakeFirst()
  return row?.user_handle ? { userHandle: row.user_handle } : undefined
}

/** Uses a challenge up whose answer was rejected, so that it is not tried again. */
export async function spend(tx: Tx, value: string, browserHash: Buffer): Promise<void> {
  await tx
    .updateTable('challenges')
    .set({ redeemed_at: new Date() })
    .where('id_hash', '=', sha256(value))
    .where('browser_hash', '=', browserHash)
    .where('redeemed_at', 'is', null)
    .execute()
}
