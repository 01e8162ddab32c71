import { sql } from 'kysely'
import type { Row } from '../../database/schema.ts'
import { type Joined, joined, joinedReader } from '../joins.ts'

export type Account = {
  id: string
  email: string
  emailVerified: boolean
  /** Standard claims by name (OpenID Connect Core §5.1), without `sub` and the email ones. */
  profile: Record<string, unknown>
  isDisabled: boolean
  /** Whether an administrator requires another password. Nothing is issued before the person has chosen it. */
  mustChangePassword: boolean
  /** The terms that the person accepted last. */
  terms: { version: string; acceptedAt: Date } | undefined
  /** The groups that it belongs to. */
  groups: string[]
  /** The time when the account is erased, if its owner asked for that. Nothing may use it before. */
  deletionAt: Date | undefined
  /** The last change to what is known of the person. A new password or a disabled account does not count. */
  updatedAt: Date
  /** The number of times that all sign-ins of the account were ended. A sign-in of an earlier epoch is invalid. */
  epoch: number
}

// The first is the key.
const stored = [
  'id',
  'email',
  'email_verified',
  'profile',
  'groups',
  'disabled_at',
  'deletion_at',
  'updated_at',
  'epoch',
  'terms_version',
  'terms_accepted_at',
] as const

const mustChange = 'must_change_password'
const mustChangeIn = (table: string) => `exists (
  select from password_credentials p where p.account_id = ${table}.id and p.change_required_at is not null)`

/** The columns of an account in every query that reads one. */
export const columns = [
  ...stored.map((column) => `accounts.${column}` as const),
  sql.raw<boolean>(mustChangeIn('accounts')).as(mustChange),
] as const

type AccountRow = Row<'accounts', (typeof stored)[number]> & { [mustChange]: boolean }

export function toAccount(row: AccountRow): Account {
  return {
    id: row.id,
    email: row.email,
    emailVerified: row.email_verified,
    profile: row.profile,
    groups: row.groups,
    isDisabled: row.disabled_at !== null,
    mustChangePassword: row.must_change_password,
    terms:
      row.terms_version === null || row.terms_accepted_at === null
        ? undefined
        : { version: row.terms_version, acceptedAt: row.terms_accepted_at },
    deletionAt: row.deletion_at ?? undefined,
    updatedAt: row.updated_at,
    epoch: row.epoch,
  }
}

/** The same columns for a query that joins `accounts u`. */
export const joinedAccountColumns = `${joined('u', stored)}, ${mustChangeIn('u')} as u_${mustChange}`

/** The part of a joined row that is an account. */
export type JoinedAccount = Joined<'u', AccountRow>

const readJoined = joinedReader<'u', AccountRow>('u', [...stored, mustChange])

/** Reads the account from a row of another table that was joined with it. */
export function joinedAccount(row: JoinedAccount): Account | undefined {
  const account = readJoined(row)
  return account && toAccount(account)
}
