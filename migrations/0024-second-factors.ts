import { type Kysely, sql } from 'kysely'

const statements = [
  // The secret that an account shares with an authenticator app (RFC 6238). It counts from its first code on. Each time step
  // is accepted once: `last_step` only rises.
  `create table totp_secrets (
    account_id text primary key references accounts on delete cascade,
    secret_sealed text not null,
    last_step bigint not null,
    created_at timestamptz not null,
    confirmed_at timestamptz,
    last_used_at timestamptz
  )`,

  // Codes for a person who has lost their other factors. Each is used once.
  `create table recovery_codes (
    code_hash bytea primary key,
    account_id text not null references accounts on delete cascade,
    created_at timestamptz not null,
    used_at timestamptz
  )`,
  `create index recovery_codes_account_id on recovery_codes (account_id)`,

  // Browsers that need no second factor for some days. They end with the sign-ins of their account.
  `create table remembered_devices (
    id_hash bytea primary key,
    account_id text not null references accounts on delete cascade,
    account_epoch integer not null,
    user_agent text,
    created_at timestamptz not null,
    expires_at timestamptz not null
  )`,
  `create index remembered_devices_account_id on remembered_devices (account_id)`,
  `create index remembered_devices_expires_at on remembered_devices (expires_at)`,

  // Until when a person may go without a second factor that is required of them.
  `alter table accounts add column second_factor_due_at timestamptz`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
