import { type Passwords, TooBusy } from '../crypto/passwords.ts'
import type { Db } from '../database/schema.ts'
import * as accounts from '../stores/people/accounts.ts'
import { checkPassword, type PasswordFlaw } from './password-rules.ts'

/** The reason why a password that a person chose is rejected. `same` means that it is the one to replace. */
export type NewPasswordFlaw = PasswordFlaw | 'same' | 'busy'

/** The hash of a password that a person may have, or why they cannot have it now. */
export type NewPassword = { hash: string } | { flaw: NewPasswordFlaw }

/**
 * Checks a password that a person chose for their account, and hashes it.
 *
 * @param options.isAnother - Whether it must differ from the present one.
 */
export type AcceptPassword = (
  password: string,
  person: { email: string; profile: Record<string, unknown> },
  options?: { isAnother?: boolean },
) => Promise<NewPassword>

/** Creates the function that checks and hashes the passwords that people choose. */
export function createAcceptPassword({
  db,
  passwords,
  rules,
}: {
  db: Db
  passwords: Passwords
  rules: { serviceName: string; minLength: number }
}): AcceptPassword {
  return async (password, { email, profile }, { isAnother = false } = {}) => {
    const name = typeof profile['name'] === 'string' ? profile['name'] : undefined
    const flaw = await checkPassword(password, { email, name }, rules)
    if (flaw) return { flaw }
    try {
      const { passwordHash } = (isAnother && (await accounts.findCredentials(db, email))) || {}
      if (passwordHash && (await passwords.verify(passwordHash, password)).matches) return { flaw: 'same' }
      return { hash: await passwords.hash(password) }
    } catch (error) {
      if (error instanceof TooBusy) return { flaw: 'busy' }
      throw error
    }
  }
}
