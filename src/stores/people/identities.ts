import type { Db, Row, Tx } from '../../database/schema.ts'

/** The name of a person at a provider elsewhere. A subject means nothing without its issuer. */
export type IdentityName = { providerId: string; issuer: string; subject: string }

/** An account elsewhere that is linked to an account here. */
export type Identity = IdentityName & {
  accountId: string
  /** The claims of the last sign-in, as the provider made them. */
  claims: Record<string, unknown>
  linkedAt: Date
  lastUsedAt: Date
}

const columns = ['provider_id', 'issuer', 'subject', 'account_id', 'claims', 'linked_at', 'last_used_at'] as const

export async function find(db: Db, { providerId, issuer, subject }: IdentityName): Promise<Identity | undefined> {
  const row = await db
    .selectFrom('identities')
    .select(columns)
    .where('provider_id', '=', providerId)
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst()
  return row && toIdentity(row)
}

/** Lists the identities of an account, the oldest first. */
export async function listByAccount(db: Db, accountId: string): Promise<Identity[]> {
  const rows = await db
    .selectFrom('identities')
    .select(columns)
    .where('account_id', '=', accountId)
    .orderBy('linked_at')
    .orderBy('provider_id')
    .execute()
  return rows.map(toIdentity)
}

/** Lists the identities of an account whose providers are not disabled. */
export async function listUsable(db: Db, accountId: string): Promise<Identity[]> {
  const rows = await db
    .selectFrom('identities')
    .select(columns)
    .where('account_id', '=', accountId)
    .where('provider_id', 'in', (of) =>
      of.selectFrom('upstream_providers').select('id').where('disabled_at', 'is', null),
    )
    .execute()
  return rows.map(toIdentity)
}

/** Links an identity to an account. Of several concurrent calls one succeeds; `'taken'` if it is linked already. */
export async function link(
  tx: Tx,
  { providerId, issuer, subject }: IdentityName,
  { accountId, claims }: { accountId: string; claims: Record<string, unknown> },
): Promise<'linked' | 'taken'> {
  const now = new Date()
  const row = await tx
    .insertInto('identities')
    .values({
      provider_id: providerId,
      issuer,
      subject,
      account_id: accountId,
      claims: JSON.stringify(claims),
      linked_at: now,
      last_used_at: now,
    })
    .onConflict((conflict) => conflict.columns(['provider_id', 'issuer', 'subject']).doNothing())
    .returning('subject')
    .executeTakeFirst()
  return row ? 'linked' : 'taken'
}

/** Notes a sign-in with an identity, and the claims of that time. */
export async function noteUse(tx: Tx, name: IdentityName, claims: Record<string, unknown>): Promise<void> {
  await tx
    .updateTable('identities')
    .set({ last_used_at: new Date(), claims: JSON.stringify(claims) })
    .where('provider_id', '=', name.providerId)
    .where('issuer', '=', name.issuer)
    .where('subject', '=', name.subject)
    .execute()
}

/** Removes an identity from its account. `false` if it was not linked to that account. */
export async function unlink(tx: Tx, name: IdentityName, accountId: string): Promise<boolean> {
  const row = await tx
    .deleteFrom('identities')
    .where('provider_id', '=', name.providerId)
    .where('issuer', '=', name.issuer)
    .where('subject', '=', name.subject)
    .where('account_id', '=', accountId)
    .returning('subject')
    .executeTakeFirst()
  return row !== undefined
}

/** Removes all identities of an account, and returns those that it had. */
export async function unlinkAll(tx: Tx, accountId: string): Promise<Identity[]> {
  const rows = await tx.deleteFrom('identities').where('account_id', '=', accountId).returning(columns).execute()
  return rows.map(toIdentity)
}

/** Lists the accounts that are linked to a provider. */
export async function listAccounts(db: Db, providerId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('identities')
    .select('account_id')
    .distinct()
    .where('provider_id', '=', providerId)
    .orderBy('account_id')
    .execute()
  return rows.map(({ account_id }) => account_id)
}

function toIdentity(row: Row<'identities', (typeof columns)[number]>): Identity {
  return {
    providerId: row.provider_id,
    issuer: row.issuer,
    subject: row.subject,
    accountId: row.account_id,
    claims: row.claims as Record<string, unknown>,
    linkedAt: row.linked_at,
    lastUsedAt: row.last_used_at,
  }
}
