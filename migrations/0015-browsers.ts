import { type Kysely, sql } from 'kysely'

const statements = [
  // The browser of a session, and the network addresses of its first and its last use, for the person who signed in.
  `alter table sessions add column user_agent text, add column first_address text, add column last_address text,
    add column last_seen_at timestamptz`,
  `alter table grants add column last_used_at timestamptz`,
  // When the account is deleted for good. Until then its owner can come back.
  `alter table accounts add column deletion_at timestamptz`,
  `create index accounts_deletion_at on accounts (deletion_at) where deletion_at is not null`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
