import * as passwords from '../../accounts/password.ts'
import { checkPassword, longestNewPassword, type PasswordFlaw } from '../../accounts/password-rules.ts'
import type { Config } from '../../config/index.ts'
import type { Secret } from '../../secret.ts'
import { type OperationDependencies, OperationError } from '../operation.ts'

/** The field with the password that an account gets. */
export const newPassword = passwords.password.describe('Password.')

const reasons: Record<PasswordFlaw, (minLength: number) => string> = {
  'too-short': (minLength) => `must have at least ${minLength} characters`,
  'too-long': () => `must have at most ${longestNewPassword} characters`,
  common: () => 'is among the passwords that are guessed first',
  'about-you': () => "is the person's own name or address with little else, which is guessed first",
  'about-service': () => 'is the name of this service with little else, which is guessed first',
}

/** Throws an OperationError if this deployment has no passwords. */
export function assertPasswords({ PASSWORDS }: Pick<Config, 'PASSWORDS'>): void {
  if (!PASSWORDS) throw new OperationError('conflict', 'Passwords are switched off by the setting PASSWORDS.')
}

/**
 * Returns the hash of a password that a person may have.
 *
 * @throws OperationError if they may not have it.
 */
export async function acceptable(
  { config, passwords: { hash } }: Pick<OperationDependencies, 'config' | 'passwords'>,
  password: Secret,
  person: { email: string; name?: unknown },
): Promise<string> {
  assertPasswords(config)
  const rules = passwords.rulesFor(config)
  const name = typeof person.name === 'string' ? person.name : undefined
  const flaw = await checkPassword(password.reveal(), { email: person.email, name }, rules)
  if (flaw) throw new OperationError('invalid', { field: 'password', message: reasons[flaw](rules.minLength) })
  return hash(password.reveal())
}
