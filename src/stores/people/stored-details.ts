import type { Db } from '../../database/schema.ts'
import type { Purpose } from './confirmations.ts'
import { type Identity, listByAccount } from './identities.ts'

/** Everything that is stored beside an account, without any secret or hash of one. */
export type StoredDetails = {
  createdAt: Date | undefined
  password: { changedAt: Date; changeRequiredAt: Date | undefined } | undefined
  addressChange: { email: string; requestedAt: Date; expiresAt: Date } | undefined
  /** The entry of the directory that the account belongs to. */
  directory: { entryId: string; groups: string[]; checkedAt: Date } | undefined
  /** The accounts elsewhere that are linked to it. */
  identities: readonly Identity[]
  /** The links and codes that were sent, the newest first, until they are deleted after their end. */
  confirmations: readonly SentConfirmation[]
}

type SentConfirmation = {
  purpose: Purpose
  email: string
  createdAt: Date
  expiresAt: Date
  redeemedAt: Date | undefined
}

/** Returns everything that is stored beside an account, for its owner. */
export async function find(db: Db, accountId: string): Promise<StoredDetails> {
  const [account, password, change, entry, identities, sent] = await Promise.all([
    db.selectFrom('accounts').select('created_at').where('id', '=', accountId).executeTakeFirst(),
    db
      .selectFrom('password_credentials')
      .select(['updated_at', 'change_required_at'])
      .where('account_id', '=', accountId)
      .executeTakeFirst(),
    db
      .selectFrom('address_changes')
      .select(['email', 'requested_at', 'expires_at'])
      .where('account_id', '=', accountId)
      .executeTakeFirst(),
    db
      .selectFrom('directory_accounts')
      .select(['entry_id', 'groups', 'checked_at'])
      .where('account_id', '=', accountId)
      .executeTakeFirst(),
    listByAccount(db, accountId),
    db
      .selectFrom('confirmations')
      .select(['purpose', 'email', 'created_at', 'expires_at', 'redeemed_at'])
      .where('account_id', '=', accountId)
      .orderBy('created_at', 'desc')
      .execute(),
  ])
  return {
    identities,
    createdAt: account?.created_at,
    password: password && {
      changedAt: password.updated_at,
      changeRequiredAt: password.change_required_at ?? undefined,
    },
    addressChange: change && {
      email: change.email,
      requestedAt: change.requested_at,
      expiresAt: change.expires_at,
    },
    directory: entry && { entryId: entry.entry_id, groups: entry.groups, checkedAt: entry.checked_at },
    confirmations: sent.map((row) => ({
      purpose: row.purpose as Purpose,
      email: row.email,
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      redeemedAt: row.redeemed_at ?? undefined,
    })),
  }
}
