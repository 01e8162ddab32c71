import type { Account } from './accounts.ts'

/** What a query that joins `accounts u` selects of it; the account is not disabled, and null where there is none. */
export const joinedColumns = 'u.id as u_id, u.email, u.email_verified, u.profile, u.updated_at as u_updated_at, u.epoch'

export type JoinedAccount = {
  u_id: string | null
  email: string
  email_verified: boolean
  profile: Record<string, unknown>
  u_updated_at: Date
  epoch: number
}

/** The account that came with a row of another table. */
export function accountOf(row: JoinedAccount): Account | undefined {
  if (row.u_id === null) return undefined
  const { u_id: id, email, email_verified: emailVerified, profile, u_updated_at: updatedAt, epoch } = row
  return { id, email, emailVerified, profile, updatedAt, epoch, isDisabled: false }
}
