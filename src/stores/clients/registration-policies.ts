import type { Db, Row, Tx } from '../../database/schema.ts'

/** A stored policy: rules by name, which override those of a built-in policy. */
export type StoredPolicy = { name: string; rules: Record<string, unknown>; createdAt: Date; updatedAt: Date }

const columns = ['name', 'rules', 'created_at', 'updated_at'] as const

export async function find(db: Db, name: string): Promise<StoredPolicy | undefined> {
  const row = await db.selectFrom('registration_policies').select(columns).where('name', '=', name).executeTakeFirst()
  return row && toPolicy(row)
}

export async function list(db: Db): Promise<StoredPolicy[]> {
  const rows = await db.selectFrom('registration_policies').select(columns).orderBy('name').execute()
  return rows.map(toPolicy)
}

/** Creates a policy, or replaces the one of this name. */
export async function save(tx: Tx, { name, rules }: { name: string; rules: Record<string, unknown> }): Promise<void> {
  const now = new Date()
  const row = { rules: JSON.stringify(rules), updated_at: now }
  await tx
    .insertInto('registration_policies')
    .values({ name, ...row, created_at: now })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute()
}

export async function destroy(db: Db, name: string): Promise<boolean> {
  const row = await db.deleteFrom('registration_policies').where('name', '=', name).returning('name').executeTakeFirst()
  return row !== undefined
}

/** Returns whether a client or a usable registration token is under a policy. */
export async function isUsed(db: Db, name: string): Promise<boolean> {
  const client = db.selectFrom('clients').select('id').where('policy', '=', name).where('deleted_at', 'is', null)
  const token = db
    .selectFrom('registration_tokens')
    .select('id')
    .where('policy', '=', name)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', new Date())
  const [one, other] = [await client.executeTakeFirst(), await token.executeTakeFirst()]
  return one !== undefined || other !== undefined
}

function toPolicy(row: Row<'registration_policies', (typeof columns)[number]>): StoredPolicy {
  return { name: row.name, rules: row.rules, createdAt: row.created_at, updatedAt: row.updated_at }
}
