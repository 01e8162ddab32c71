import { type Kysely, sql } from 'kysely'

const statements = [
  // Every link and every code that is sent by mail. `account_epoch` and `account_email` are the state of the account
  // that must still hold when it is redeemed.
  `create table confirmations (
    id_hash bytea primary key,
    purpose text not null,
    account_id text references accounts on delete cascade,
    account_epoch integer,
    account_email text,
    email text not null,
    browser_hash bytea,
    code_hash bytea,
    attempts integer not null default 0,
    data_sealed text,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    redeemed_at timestamptz
  )`,
  `create index confirmations_account_id on confirmations (account_id)`,
  `create index confirmations_browser_hash on confirmations (browser_hash) where browser_hash is not null`,
  `create index confirmations_expires_at on confirmations (expires_at)`,
  // The client through which people reach the pages of this server. No administrator manages it.
  `alter table clients add column built_in boolean not null default false`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
