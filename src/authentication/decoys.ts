import { keyedHash } from '../crypto/digests.ts'
import { decoyHash } from '../crypto/passwords.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import { findHash } from '../stores/people/decoys.ts'

/** Finds the hash that a password is verified against if an address has none. The outcome must not count. */
export type FindDecoy = (canonicalEmail: string) => Promise<string>

/**
 * Creates the choice of decoys. An imported hash can take much more time than one of ours, so a constant decoy would
 * reveal who has an account. Each address without an account therefore behaves like some account, always the same one:
 * among these addresses, each kind of hash is as frequent as among the accounts.
 */
export function createDecoys({ db, key }: { db: Db; key: Secret<Buffer> }): FindDecoy {
  return async (email) => {
    const point = keyedHash(key, `decoy\0${email}`).readBigInt64BE()
    return (await findHash(db, point)) ?? decoyHash
  }
}
