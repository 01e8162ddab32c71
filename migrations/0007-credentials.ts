import { type Kysely, sql } from 'kysely'

// Moved by whatever makes a credential of a client invalid: by one when the secret is rotated, so that the one before may
// be accepted for a while, otherwise by two.
const statements = [`alter table clients add column credential_version integer not null default 0`]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
