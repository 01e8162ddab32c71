import { z } from 'zod'
import { inPlainWords } from '../config/plain-words.ts'
import * as passwordHashes from '../crypto/password-hashes/index.ts'
import type { AuditedTx } from '../stores/operations/audit.ts'
import { createMissing } from '../stores/people/imported-accounts.ts'
import { emailAddress } from './email-addresses.ts'
import { groupName } from './groups.ts'
import { claims, fullName } from './profile.ts'

const passwordHash = z.string().superRefine((text, context) => {
  const read = passwordHashes.read(text)
  if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem })
})

/** An account of another system. It has everything of the account, except a password in plain text. */
export const importedAccount = z.strictObject({
  id: z
    .string()
    .regex(/^(?!erased:)[A-Za-z0-9][A-Za-z0-9._:|~+-]{0,127}$/, 'must have 1 to 128 letters, digits or . _ : | ~ + -')
    .optional()
    .describe('The ID that apps know the person by, as sub. Without it, Postern makes one.'),
  email: emailAddress.describe('Email address, which is also the sign-in name.'),
  email_verified: z.boolean().default(false).describe('Whether the other system had proof of the address.'),
  name: fullName.optional().describe('Full name.'),
  claims: claims.optional().describe('Further claims.'),
  groups: z.array(groupName).max(1_000).optional().describe('The groups of the person.'),
  password_hash: passwordHash
    .optional()
    .describe('A hash by argon2, bcrypt, scrypt, PBKDF2 or SHA-crypt. Without it, the account has no password.'),
  disabled: z.boolean().default(false).describe('Whether the account is disabled.'),
})

/** Why an account was not imported. `index` is its place in the list, from 0. */
export type Rejection = { index: number; field?: string; message: string }

/**
 * Creates the accounts of a list that do not exist yet. One that is rejected does not stop the others, and an existing one
 * stays as it is, so that a list can be imported again.
 */
export async function importAll(
  { tx, record }: AuditedTx,
  list: readonly unknown[],
): Promise<{ created: number; existing: number; rejected: Rejection[] }> {
  const rejected: Rejection[] = []
  const accepted = list.flatMap((entry, index) => {
    const { data, error } = importedAccount.safeParse(entry, { error: inPlainWords })
    if (data) return [{ index, ...data }]
    const [issue] = error.issues
    const field = issue?.path.join('.')
    rejected.push({ index, ...(field && { field }), message: issue?.message ?? 'is invalid' })
    return []
  })
  const outcomes = await createMissing(
    tx,
    accepted.map(({ id, email, email_verified, name, claims, groups, password_hash, disabled }) => ({
      id,
      email,
      emailVerified: email_verified,
      profile: { ...claims, ...(name !== undefined && { name }), ...(groups && { groups }) },
      passwordHash: password_hash,
      isDisabled: disabled,
    })),
  )
  for (const [place, { index }] of accepted.entries()) {
    if (outcomes[place] === 'id-taken') rejected.push({ index, field: 'id', message: 'belongs to another account' })
  }
  const count = (wanted: string) => outcomes.filter((outcome) => outcome === wanted).length
  const counts = { created: count('created'), existing: count('existing') }
  record({ type: 'accounts.imported', details: { ...counts, rejected: rejected.length } })
  return { ...counts, rejected: rejected.sort((a, b) => a.index - b.index) }
}
