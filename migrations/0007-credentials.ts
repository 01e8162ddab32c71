import { type Kysely, sql } from 'kysely'

// Increased whenever a credential of a client becomes invalid: by one when the secret is rotated, so that the previous
// one may still be accepted for a while, otherwise by two.
const statements = [`alter table clients add column credential_version integer not null default 0`]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
