import { z } from 'zod'
import { protectedClaims } from '../config/protected-claims.ts'
import type { AuditedTx } from '../stores/operations/audit.ts'
import * as accounts from '../stores/people/accounts.ts'
import { groupName } from './groups.ts'

const deepest = 8 // levels; the deepest claim of OpenID Connect, address, has two
const mostCharacters = 65_536 // as JSON: every request about a person reads all of it

// PostgreSQL stores neither null characters nor halves of surrogate pairs.
const isStorable = (text: string) => text.isWellFormed() && !text.includes('\0')

function isStorableValue(value: unknown, levels: number): boolean {
  if (typeof value === 'string') return isStorable(value)
  if (typeof value !== 'object' || value === null) return true
  return (
    levels > 0 && Object.entries(value).every(([name, part]) => isStorable(name) && isStorableValue(part, levels - 1))
  )
}

const unstorable = 'must be well-formed Unicode without null characters'

/** The full name of a person. */
export const fullName = z.string().max(200).refine(isStorable, unstorable)

const groupList = z.array(groupName).max(1_000)

/** The claims of an account, except those that Postern sets itself. */
export const claims = z
  .record(z.string(), z.unknown())
  .refine((given) => !Object.keys(given).some((name) => protectedClaims.includes(name)), {
    error: `cannot have ${protectedClaims.join(', ')}, which Postern sets itself`,
  })
  .refine((given) => isStorableValue(given, deepest), {
    error: `${unstorable}, and have at most ${deepest} levels`,
    abort: true,
  })
  .refine((given) => JSON.stringify(given).length <= mostCharacters, {
    error: `must have at most ${mostCharacters} characters as JSON`,
  })
  .refine(({ groups }) => !Array.isArray(groups) || groupList.safeParse(groups).success, {
    error: 'must have groups by their names, of at most 200 characters each',
  })

/** Creates an account that signs in with a password. Returns `'email-taken'` if the address belongs to another account. */
export async function create(
  { tx, record }: AuditedTx,
  account: accounts.NewAccount,
): Promise<accounts.Account | 'email-taken'> {
  const created = await accounts.create(tx, account)
  if (created !== 'email-taken') record({ type: 'account.created', accountId: created.id })
  return created
}

/** The name of each field in the audit event of a change. */
const fieldNames = { email: 'email', emailVerified: 'email_verified', profile: 'claims' } as const satisfies Record<
  keyof accounts.AccountChange,
  string
>

/**
 * Changes the given fields of an account: its address, whether the address is verified, and its claims. The proof of an
 * address does not count for another one.
 */
export async function change(
  { tx, record }: AuditedTx,
  id: string,
  fields: accounts.AccountChange,
): Promise<accounts.Account | 'email-taken' | 'no-account'> {
  const { email: present = '' } = (await accounts.lock(tx, id)) ?? {}
  const isOther =
    fields.email !== undefined && accounts.canonicalEmail(fields.email) !== accounts.canonicalEmail(present)
  const { emailVerified = isOther ? false : undefined } = fields
  if ((await accounts.update(tx, id, { ...fields, emailVerified })) === 'email-taken') return 'email-taken'
  const changed = Object.entries(fieldNames).flatMap(([field, name]) =>
    fields[field as keyof typeof fieldNames] === undefined ? [] : [name],
  )
  record({ type: 'account.updated', accountId: id, details: { changed } })
  return (await accounts.findById(tx, id)) ?? 'no-account'
}
