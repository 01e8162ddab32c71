import { type Kysely, sql } from 'kysely'

const statements = [
  // The new address that a person wants for their account, until they prove that it is theirs.
  `create table address_changes (
    account_id text primary key references accounts on delete cascade,
    email text not null,
    requested_at timestamptz not null,
    expires_at timestamptz not null
  )`,
  `create index address_changes_expires_at on address_changes (expires_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
