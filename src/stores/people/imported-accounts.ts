import { randomId } from '../../crypto/digests.ts'
import type { Tx } from '../../database/schema.ts'
import { canonicalEmail } from './accounts.ts'

export type ImportedAccount = {
  /** The ID that the account has elsewhere, to keep it. */
  id: string | undefined
  email: string
  emailVerified: boolean
  profile: Record<string, unknown>
  passwordHash: string | undefined
  isDisabled: boolean
}

/** What became of an account: its address has an account already, or its ID belongs to another one. */
export type Imported = 'created' | 'existing' | 'id-taken'

/** Creates accounts that do not exist yet, and returns what became of each. None replaces or changes an existing one. */
export async function createMissing(tx: Tx, accounts: readonly ImportedAccount[]): Promise<Imported[]> {
  const now = new Date()
  const rows = accounts.map(({ passwordHash, isDisabled, ...account }) => ({
    passwordHash,
    id: account.id ?? randomId(16),
    email: account.email.trim(),
    email_canonical: canonicalEmail(account.email),
    email_verified: account.emailVerified,
    profile: JSON.stringify(account.profile),
    disabled_at: isDisabled ? now : null,
  }))
  // In one order, so that two imports that run at the same time do not wait for each other in a circle.
  const sorted = rows.toSorted((a, b) => (a.email_canonical < b.email_canonical ? -1 : 1))
  if (sorted.length === 0) return []
  const created = await tx
    .insertInto('accounts')
    .values(sorted.map(({ passwordHash: _, ...row }) => ({ ...row, created_at: now, updated_at: now })))
    .onConflict((conflict) => conflict.doNothing())
    .returning(['id', 'email_canonical'])
    .execute()
  const idOf = new Map(created.map((row) => [row.email_canonical, row.id]))
  const outcomes = await outcomesOf(tx, rows, idOf)
  const hashes = rows.flatMap(({ id, passwordHash }, index) =>
    outcomes[index] === 'created' && passwordHash !== undefined
      ? [{ account_id: id, hash: passwordHash, change_required_at: null, updated_at: now }]
      : [],
  )
  if (hashes.length > 0) await tx.insertInto('password_credentials').values(hashes).execute()
  return outcomes
}

async function outcomesOf(
  tx: Tx,
  rows: readonly { id: string; email_canonical: string }[],
  idOf: ReadonlyMap<string, string>,
): Promise<Imported[]> {
  const created = new Set<string>()
  // A list can have a person twice, also with the same ID: the first entry counts.
  const isFirst = rows.map(({ id, email_canonical }) => {
    if (idOf.get(email_canonical) !== id || created.has(id)) return false
    created.add(id)
    return true
  })
  const others = rows.filter((_, index) => !isFirst[index])
  if (others.length === 0) return rows.map(() => 'created')
  const found = await tx
    .selectFrom('accounts')
    .select('email_canonical')
    .where(
      'email_canonical',
      'in',
      others.map((row) => row.email_canonical),
    )
    .execute()
  const existing = new Set(found.map((row) => row.email_canonical))
  return rows.map(({ email_canonical }, index) => {
    if (isFirst[index]) return 'created'
    return existing.has(email_canonical) ? 'existing' : 'id-taken'
  })
}
