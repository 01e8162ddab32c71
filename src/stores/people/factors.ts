import { sql } from 'kysely'
import type { Db, Tx } from '../../database/schema.ts'

/** The factors that an account has. */
export type Factors = {
  hasPassword: boolean
  hasTotp: boolean
  hasPasskey: boolean
  /** The number of recovery codes that are left. */
  recoveryCodes: number
  /** Until when the account may go without a second factor that is required of it. */
  graceEndsAt: Date | undefined
}

type FactorsRow = {
  has_password: boolean
  has_totp: boolean
  has_passkey: boolean
  recovery_codes: number
  second_factor_due_at: Date | null
}

/** Finds the factors of an account. */
export async function find(db: Db, accountId: string): Promise<Factors> {
  const { rows } = await sql<FactorsRow>`
    select a.second_factor_due_at,
      exists (select from password_credentials where account_id = a.id) as has_password,
      exists (select from totp_secrets where account_id = a.id and confirmed_at is not null) as has_totp,
      exists (select from passkeys where account_id = a.id) as has_passkey,
      (select count(*)::int from recovery_codes where account_id = a.id and used_at is null) as recovery_codes
    from accounts a where a.id = ${accountId}`.execute(db)
  const [row] = rows
  return {
    hasPassword: row?.has_password === true,
    hasTotp: row?.has_totp === true,
    hasPasskey: row?.has_passkey === true,
    recoveryCodes: row?.recovery_codes ?? 0,
    graceEndsAt: row?.second_factor_due_at ?? undefined,
  }
}

/** Begins the time that an account may go without a second factor, unless it has begun. Returns when it ends. */
export async function beginGrace(tx: Tx, accountId: string, endsAt: Date): Promise<Date> {
  const { rows } = await sql<{ second_factor_due_at: Date }>`
    update accounts set second_factor_due_at = coalesce(second_factor_due_at, ${endsAt}) where id = ${accountId}
    returning second_factor_due_at`.execute(tx)
  return rows[0]?.second_factor_due_at ?? endsAt
}
