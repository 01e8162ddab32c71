import type { Account } from './accounts.ts'

/** What a query that joins `accounts u` selects of it; the account is not disabled, and null where there is none. */
export const joinedColumns = 'u.id as u_id, u.email, u.email_verified, u.profile, u.epoch'

export type JoinedAccount = {
  u_id: string | null
  email: string
  email_verified: boolean
  profile: Record<string, unknown>
  epoch: number
}

/** The account that came with a row of another table. */
export function accountOf(row: JoinedAccount): Account | undefined {
  if (row.u_id === null) return undefined
  const { u_id: id, email, email_verified: emailVerified, profile, epoch } = row
  return { id, email, emailVerified, profile, epoch, isDisabled: false }
}
