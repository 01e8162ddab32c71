import type { Db } from '../../database/schema.ts'
import { hasPasskey } from './passkeys.ts'
import { hasPassword } from './password-credentials.ts'

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

/** Finds the factors of an account. */
export async function find(db: Db, accountId: string): Promise<Factors> {
  return {
    hasPassword: await hasPassword(db, accountId),
    hasTotp: false,
    hasPasskey: await hasPasskey(db, accountId),
    recoveryCodes: 0,
    graceEndsAt: undefined,
  }
}
