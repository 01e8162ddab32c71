import { sql } from 'kysely'
import { randomId, sha256 } from '../../crypto/digests.ts'
import type { Db, Row, Tx } from '../../database/schema.ts'
import type { Belonging } from './challenges.ts'

/** A passkey: the public half of a key whose private half only an authenticator of the person has. */
export type Passkey = {
  id: string
  accountId: string
  credentialId: Buffer
  publicKey: Buffer
  /** The name of the account at the authenticators of its owner. */
  userHandle: Buffer
  /** The number of signatures that the authenticator counted. Many always say 0. */
  counter: number
  name: string
  transports: string[]
  /** The model of the authenticator, as it says itself. */
  aaguid: string
  /** Whether it may be copied to other devices of the person: otherwise it stays in one device. */
  isBackupEligible: boolean
  /** Whether there is such a copy. */
  isBackedUp: boolean
  createdAt: Date
  lastUsedAt: Date | undefined
}

export type NewPasskey = Omit<Passkey, 'id' | 'createdAt' | 'lastUsedAt'>

// biome-ignore format: it is a list
const columns = ['id', 'account_id', 'credential_id', 'public_key', 'user_handle', 'counter', 'name', 'transports', 'aaguid', 'backup_eligible', 'backed_up', 'created_at', 'last_used_at'] as const

/** Lists the passkeys of an account, the oldest first. */
export async function listByAccount(db: Db, accountId: string): Promise<Passkey[]> {
  const rows = await db
    .selectFrom('passkeys')
    .select(columns)
    .where('account_id', '=', accountId)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(toPasskey)
}

/** Returns whether an account has a passkey. */
export async function hasPasskey(db: Db, accountId: string): Promise<boolean> {
  const row = await db
    .selectFrom('passkeys')
    .select('id')
    .where('account_id', '=', accountId)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Finds a passkey by the identifier that its authenticator gave it. */
export async function findByCredentialId(db: Db, credentialId: Buffer): Promise<Passkey | undefined> {
  const row = await db
    .selectFrom('passkeys')
    .select(columns)
    .where('credential_id', '=', credentialId)
    .executeTakeFirst()
  return row && toPasskey(row)
}

/** Adds a passkey to an account. `'taken'` if it exists already, in this account or another. */
export async function add(tx: Tx, passkey: NewPasskey): Promise<Passkey | 'taken'> {
  const row = await tx
    .insertInto('passkeys')
    .values({
      id: randomId(16),
      account_id: passkey.accountId,
      credential_id: passkey.credentialId,
      public_key: passkey.publicKey,
      user_handle: passkey.userHandle,
      counter: passkey.counter,
      name: passkey.name,
      transports: passkey.transports,
      aaguid: passkey.aaguid,
      backup_eligible: passkey.isBackupEligible,
      backed_up: passkey.isBackedUp,
      created_at: new Date(),
      last_used_at: null,
    })
    .onConflict((conflict) => conflict.column('credential_id').doNothing())
    .returning(columns)
    .executeTakeFirst()
  return row ? toPasskey(row) : 'taken'
}

/** Names a passkey of an account. `false` if the account has no such passkey. */
export async function rename(tx: Tx, accountId: string, id: string, name: string): Promise<boolean> {
  const row = await tx
    .updateTable('passkeys')
    .set({ name })
    .where('id', '=', id)
    .where('account_id', '=', accountId)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Deletes a passkey of an account, and returns it. `undefined` if the account has no such passkey. */
export async function remove(tx: Tx, accountId: string, id: string): Promise<Passkey | undefined> {
  const row = await tx
    .deleteFrom('passkeys')
    .where('id', '=', id)
    .where('account_id', '=', accountId)
    .returning(columns)
    .executeTakeFirst()
  return row && toPasskey(row)
}

/** Deletes every passkey of an account. */
export async function removeAll(tx: Tx, accountId: string): Promise<void> {
  await tx.deleteFrom('passkeys').where('account_id', '=', accountId).execute()
}

/** Something that an authenticator signed with a passkey, after its signature was verified. */
export type Assertion = Belonging & {
  challenge: string
  credentialId: Buffer
  counter: number
  isBackedUp: boolean
}

/** The account that an assertion proves, as it was then. */
export type Asserted = { accountId: string; epoch: number; passkeyId: string }

/**
 * Accepts an assertion: redeems its challenge and raises the counter of its passkey, in one statement. Only one of
 * several concurrent calls with one challenge, or one count of a copied authenticator, succeeds.
 *
 * The challenge must be unused and unexpired, and of this purpose, browser and origin; the counter must be greater than
 * the last one, unless the authenticator does not count; and the account must not be disabled. A challenge that is about an
 * account accepts only a passkey of that account, in the epoch that it had.
 */
export async function assert(tx: Tx, assertion: Assertion): Promise<Asserted | undefined> {
  const { challenge, purpose, browserHash, origin, credentialId, counter, isBackedUp } = assertion
  const now = new Date()
  const isHigher = sql`(p.counter < ${counter}::bigint or (p.counter = 0 and ${counter}::bigint = 0))`
  const { rows } = await sql<{ account_id: string; epoch: number; id: string }>`
    with redeemed as (
      update challenges c set redeemed_at = ${now}
      from passkeys p join accounts a on a.id = p.account_id
      where c.id_hash = ${sha256(challenge)} and c.purpose = ${purpose} and c.browser_hash = ${browserHash}
        and c.origin = ${origin} and c.redeemed_at is null and c.expires_at > ${now}
        and p.credential_id = ${credentialId} and ${isHigher} and a.disabled_at is null
        and (c.account_id is null or (c.account_id = a.id and c.account_epoch = a.epoch))
      returning p.id, a.epoch
    )
    update passkeys p set counter = ${counter}, backed_up = ${isBackedUp}, last_used_at = ${now}
    from redeemed where p.id = redeemed.id and ${isHigher}
    returning p.account_id, redeemed.epoch, p.id`.execute(tx)
  const [row] = rows
  return row && { accountId: row.account_id, epoch: row.epoch, passkeyId: row.id }
}

function toPasskey(row: Row<'passkeys', (typeof columns)[number]>): Passkey {
  return {
    id: row.id,
    accountId: row.account_id,
    credentialId: row.credential_id,
    publicKey: row.public_key,
    userHandle: row.user_handle,
    counter: Number(row.counter),
    name: row.name,
    transports: row.transports,
    aaguid: row.aaguid,
    isBackupEligible: row.backup_eligible,
    isBackedUp: row.backed_up,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at ?? undefined,
  }
}
