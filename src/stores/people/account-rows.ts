import type { Row } from '../../database/schema.ts'
import { type Joined, joined, joinedReader } from '../joins.ts'

export type Account = {
  id: string
  email: string
  emailVerified: boolean
  /** Standard claims by name (OpenID Connect Core §5.1), without `sub` and the email ones. */
  profile: Record<string, unknown>
  isDisabled: boolean
  /** The time when the account is erased, if its owner asked for that. Nothing may use it before. */
  deletionAt: Date | undefined
  /** The last change to what is known of the person. A new password or a disabled account does not count. */
  updatedAt: Date
  /** The number of times that all sign-ins of the account were ended. A sign-in of an earlier epoch is invalid. */
  epoch: number
}

/** The columns of an account in every query that reads one. The first is the key. */
export const columns = [
  'id',
  'email',
  'email_verified',
  'profile',
  'disabled_at',
  'deletion_at',
  'updated_at',
  'epoch',
] as const

type AccountRow = Row<'accounts', (typeof columns)[number]>

export function toAccount(row: AccountRow): Account {
  return {
    id: row.id,
    email: row.email,
    emailVerified: row.email_verified,
    profile: row.profile,
    isDisabled: row.disabled_at !== null,
    deletionAt: row.deletion_at ?? undefined,
    updatedAt: row.updated_at,
    epoch: row.epoch,
  }
}

/** The same columns for a query that joins `accounts u`. */
export const joinedAccountColumns = joined('u', columns)

/** The part of a joined row that is an account. */
export type JoinedAccount = Joined<'u', AccountRow>

const readJoined = joinedReader<'u', AccountRow>('u', columns)

/** Reads the account from a row of another table that was joined with it. */
export function joinedAccount(row: JoinedAccount): Account | undefined {
  const account = readJoined(row)
  return account && toAccount(account)
}
