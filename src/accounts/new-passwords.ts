import { type Passwords, TooBusy } from '../crypto/passwords.ts'
import { checkPassword, type PasswordFlaw } from './password-rules.ts'

/** The hash of a password that a person may have, or why they cannot have it now. */
export type NewPassword = { hash: string } | { flaw: PasswordFlaw | 'busy' }

/** Checks a password that a person chose for their account, and hashes it. */
export type AcceptPassword = (
  password: string,
  person: { email: string; profile: Record<string, unknown> },
) => Promise<NewPassword>

/** Creates the function that checks and hashes the passwords that people choose. */
export function createAcceptPassword({
  passwords,
  rules,
}: {
  passwords: Passwords
  rules: { serviceName: string; minLength: number }
}): AcceptPassword {
  return async (password, { email, profile }) => {
    const name = typeof profile['name'] === 'string' ? profile['name'] : undefined
    const flaw = await checkPassword(password, { email, name }, rules)
    if (flaw) return { flaw }
    try {
      return { hash: await passwords.hashForVisitor(password) }
    } catch (error) {
      if (error instanceof TooBusy) return { flaw: 'busy' }
      throw error
    }
  }
}
