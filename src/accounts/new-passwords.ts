import { type Passwords, TooBusy } from '../crypto/passwords.ts'
import type { Db } from '../database/schema.ts'
import * as accounts from '../stores/people/accounts.ts'
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

/** Accepts a password only if it differs from the present one: `same` otherwise. */
export type AcceptAnother = (password: string, account: accounts.Account) => Promise<NewPassword | { flaw: 'same' }>

/** Creates the function that accepts passwords in place of the present one. */
export function createAcceptAnother({
  db,
  passwords,
  acceptPassword,
}: {
  db: Db
  passwords: Passwords
  acceptPassword: AcceptPassword
}): AcceptAnother {
  return async (password, account) => {
    const accepted = await acceptPassword(password, account)
    if ('flaw' in accepted) return accepted
    const { passwordHash } = (await accounts.findCredentials(db, account.email)) ?? {}
    try {
      const isSame = passwordHash !== undefined && (await passwords.verify(passwordHash, password)).matches
      return isSame ? { flaw: 'same' } : accepted
    } catch (error) {
      if (error instanceof TooBusy) return { flaw: 'busy' }
      throw error
    }
  }
}
