import { z } from 'zod'
import type { AuditedTx } from '../stores/operations/audit.ts'
import * as accounts from '../stores/people/accounts.ts'

// biome-ignore format: it is a list
const decidedByPostern = ['sub', 'email', 'email_verified', 'updated_at', 'iss', 'aud', 'exp', 'iat', 'nonce', 'acr', 'amr', 'azp']

/** The claims of an account, except those that Postern sets itself. */
export const claims = z
  .record(z.string(), z.unknown())
  .refine((given) => !Object.keys(given).some((name) => decidedByPostern.includes(name)), {
    error: `cannot have ${decidedByPostern.join(', ')}, which Postern sets itself`,
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

/** Changes the given fields of an account: its address, whether the address is verified, and its claims. */
export async function change(
  { tx, record }: AuditedTx,
  id: string,
  fields: accounts.AccountChange,
): Promise<accounts.Account | 'email-taken' | 'no-account'> {
  if ((await accounts.update(tx, id, fields)) === 'email-taken') return 'email-taken'
  const changed = Object.entries(fieldNames).flatMap(([field, name]) =>
    fields[field as keyof typeof fieldNames] === undefined ? [] : [name],
  )
  record({ type: 'account.updated', accountId: id, details: { changed } })
  return (await accounts.findById(tx, id)) ?? 'no-account'
}
