import { type Kysely, sql } from 'kysely'

// One statement a table, in the order of their life cycles. Rewritten rows get room to stay on their page.
const statements = [
  `create table accounts (
    id text primary key,
    email text not null,
    email_canonical text not null unique,
    email_verified boolean not null default false,
    profile jsonb not null default '{}',
    disabled_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  `create table password_credentials (
    account_id text primary key references accounts on delete cascade,
    hash text not null,
    updated_at timestamptz not null
  )`,
  // A deleted client stays as a tombstone, so that its id is never reused.
  `create table clients (
    id text primary key,
    metadata jsonb not null,
    secret_sealed text,
    dynamic boolean not null default false,
    disabled_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  `create index clients_updated_at on clients (updated_at)`,
  `create table resource_servers (
    identifier text primary key,
    name text not null,
    scopes jsonb not null,
    token_format text not null default 'opaque',
    token_ttl_seconds integer,
    client_id text references clients,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  // The grant of an account to a client. There is one row a pair: a further consent changes it.
  `create table grants (
    id text primary key,
    account_id text not null references accounts on delete cascade,
    client_id text not null references clients,
    payload jsonb not null,
    shown jsonb not null default '{}',
    expires_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (account_id, client_id)
  )`,
  `create index grants_client_id on grants (client_id)`,
  `create index grants_expires_at on grants (expires_at)`,
  `create table sessions (
    uid text primary key,
    id_hash bytea not null unique,
    previous_id_hash bytea unique,
    account_id text references accounts on delete cascade,
    payload jsonb not null,
    authorizations jsonb not null default '{}',
    expires_at timestamptz not null,
    destroyed_at timestamptz,
    created_at timestamptz not null
  ) with (fillfactor = 70)`,
  `create index sessions_account_id on sessions (account_id)`,
  `create index sessions_expires_at on sessions (expires_at)`,
  // The artifacts that the engine stores under a bearer value, found by the hash of that value and the model.
  `create table artifacts (
    id_hash bytea not null,
    model text not null,
    grant_id text references grants on delete cascade,
    family text,
    account_id text references accounts on delete cascade,
    client_id text,
    session_uid text,
    user_code_hash bytea,
    payload jsonb not null,
    expires_at timestamptz,
    consumed_at timestamptz,
    destroyed_at timestamptz,
    created_at timestamptz not null,
    primary key (id_hash, model)
  ) with (fillfactor = 85)`,
  `create index artifacts_grant_id on artifacts (grant_id)`,
  `create index artifacts_account_id on artifacts (account_id)`,
  `create index artifacts_client_id on artifacts (client_id)`,
  `create index artifacts_expires_at on artifacts (expires_at)`,
  `create unique index artifacts_user_code_hash on artifacts (user_code_hash) where user_code_hash is not null`,
  `create table replays (
    id_hash bytea primary key,
    expires_at timestamptz not null
  )`,
  `create index replays_expires_at on replays (expires_at)`,
  `create table signing_keys (
    kid text primary key,
    alg text not null,
    state text not null,
    private_jwk_sealed text not null,
    created_at timestamptz not null,
    published_at timestamptz,
    active_at timestamptz,
    retired_at timestamptz,
    removed_at timestamptz
  )`,
  // Secrets that all processes share: cookie keys, the DPoP nonce secret, the pairwise salt, the pepper.
  `create table shared_secrets (
    name text primary key,
    value_sealed text not null,
    created_at timestamptz not null
  )`,
  `create table audit_events (
    id bigint generated always as identity primary key,
    occurred_at timestamptz not null,
    type text not null,
    account_id text,
    client_id text,
    grant_id text,
    request_id text,
    address text,
    details jsonb not null default '{}'
  )`,
  `create index audit_events_occurred_at on audit_events (occurred_at)`,
  `create index audit_events_account_id on audit_events (account_id, occurred_at)`,
  `create index audit_events_client_id on audit_events (client_id, occurred_at)`,
  `create table throttles (
    key_hash bytea primary key,
    failures integer not null,
    blocked_until timestamptz not null,
    expires_at timestamptz not null
  ) with (fillfactor = 70)`,
  `create index throttles_expires_at on throttles (expires_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
