import { type Kysely, sql } from 'kysely'

const statements = [
  // The accounts that belong to an entry of the directory. An entry keeps its identifier when it is renamed.
  `create table directory_accounts (
    account_id text primary key references accounts on delete cascade,
    entry_id text not null unique,
    -- The groups that the directory gave last: it takes these away again, and no others.
    groups text[] not null,
    checked_at timestamptz not null,
    -- When the entry was found to be gone or disabled.
    gone_at timestamptz
  )`,
  `create index directory_accounts_checked_at on directory_accounts (checked_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
