import { type Kysely, sql } from 'kysely'

const statements = [
  // The providers that people may sign in with.
  `create table upstream_providers (
    id text primary key,
    preset text not null,
    settings jsonb not null,
    secret_sealed text,
    authority_domains text[] not null,
    disabled_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,

  // Accounts elsewhere that are linked to an account here. Each belongs to one account at most.
  `create table identities (
    provider_id text not null references upstream_providers on delete cascade,
    issuer text not null,
    subject text not null,
    account_id text not null references accounts on delete cascade,
    claims jsonb not null,
    linked_at timestamptz not null,
    last_used_at timestamptz not null,
    primary key (provider_id, issuer, subject)
  )`,
  `create index identities_account_id on identities (account_id)`,

  // Requests to upstream providers, and their verified answers. Each is redeemed once and finished once.
  `create table upstream_requests (
    state_hash bytea primary key,
    provider_id text not null references upstream_providers on delete cascade,
    browser_hash bytea not null,
    interaction text,
    account_id text references accounts on delete cascade,
    account_epoch integer,
    session_uid text,
    sealed text not null,
    expires_at timestamptz not null,
    redeemed_at timestamptz,
    finished_at timestamptz
  )`,
  `create index upstream_requests_browser_hash on upstream_requests (browser_hash) where finished_at is null`,
  `create index upstream_requests_account_id on upstream_requests (account_id) where account_id is not null`,
  `create index upstream_requests_provider_id on upstream_requests (provider_id)`,
  `create index upstream_requests_expires_at on upstream_requests (expires_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
