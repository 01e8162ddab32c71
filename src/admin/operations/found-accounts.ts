import { z } from 'zod'
import type { Db } from '../../database/schema.ts'
import * as accounts from '../../stores/people/accounts.ts'
import { OperationError } from '../operation.ts'

/** The field that names an account. */
export const account = z.string().min(1).max(320).describe('The ID of the account, or its email address.')

/** An account in the output of an operation. */
export const shownAccount = z.object({
  id: z.string(),
  email: z.string(),
  email_verified: z.boolean(),
  claims: z.record(z.string(), z.unknown()),
  disabled: z.boolean(),
})

/** Returns an account as an operation shows it. */
export function show({
  id,
  email,
  emailVerified,
  profile,
  isDisabled,
}: accounts.Account): z.input<typeof shownAccount> {
  return { id, email, email_verified: emailVerified, claims: profile, disabled: isDisabled }
}

/**
 * Returns the account with this ID or email address.
 *
 * @throws OperationError if there is none.
 */
export async function get(db: Db, idOrEmail: string): Promise<accounts.Account> {
  const found = await find(db, idOrEmail)
  if (!found) throw unknown(idOrEmail)
  return found
}

/** Finds the account with this ID or email address. */
export function find(db: Db, idOrEmail: string): Promise<accounts.Account | undefined> {
  return idOrEmail.includes('@') ? accounts.findByEmail(db, idOrEmail) : accounts.findById(db, idOrEmail)
}

/** Creates the error for an account that does not exist. */
export function unknown(idOrEmail: string): OperationError {
  return new OperationError('not-found', `There is no account ${idOrEmail}.`)
}
