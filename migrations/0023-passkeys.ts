import { type Kysely, sql } from 'kysely'

const statements = [
  // The public keys that people sign in with. All passkeys of an account share its user handle, by which authenticators
  // know the account.
  `create table passkeys (
    id text primary key,
    account_id text not null references accounts on delete cascade,
    credential_id bytea not null unique,
    public_key bytea not null,
    user_handle bytea not null,
    counter bigint not null,
    name text not null,
    transports text[] not null,
    aaguid text not null,
    backup_eligible boolean not null,
    backed_up boolean not null,
    created_at timestamptz not null,
    last_used_at timestamptz
  )`,
  `create index passkeys_account_id on passkeys (account_id)`,

  // The challenges that authenticators sign. Each is for one purpose, one browser and one use.
  `create table challenges (
    id_hash bytea primary key,
    purpose text not null,
    browser_hash bytea not null,
    origin text not null,
    account_id text references accounts on delete cascade,
    account_epoch integer,
    user_handle bytea,
    expires_at timestamptz not null,
    redeemed_at timestamptz
  )`,
  `create index challenges_browser_hash on challenges (browser_hash, purpose) where redeemed_at is null`,
  `create index challenges_account_id on challenges (account_id) where account_id is not null`,
  `create index challenges_expires_at on challenges (expires_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
