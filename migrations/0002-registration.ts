import { type Kysely, sql } from 'kysely'

const statements = [
  // Named rules, each in place of a built-in one. A client is checked by the policy that it was registered under.
  `create table registration_policies (
    name text primary key,
    rules jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
  )`,
  // Initial access tokens (RFC 7591 §3), found by the hash of their value. Uses are counted with the registration.
  `create table registration_tokens (
    id text primary key,
    token_hash bytea not null unique,
    policy text not null,
    max_uses integer,
    uses integer not null default 0,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    created_at timestamptz not null
  )`,
  `create index registration_tokens_created_at on registration_tokens (created_at, id)`,
  `alter table resource_servers add column owns_client boolean not null default false`,
  `alter table clients
    add column policy text,
    add column registration_token_id text,
    add column document boolean not null default false,
    add column previous_secret_sealed text,
    add column previous_secret_expires_at timestamptz,
    add column last_used_at timestamptz,
    add column expires_at timestamptz,
    add column unused_expires_at timestamptz`,
  `update clients set policy = case when dynamic then 'default' else 'administrator' end`,
  `create index clients_created_at on clients (created_at, id)`,
  `create index clients_policy on clients (policy) where deleted_at is null`,
  `create index clients_expires_at on clients (expires_at) where expires_at is not null and deleted_at is null`,
  `create index clients_unused_expires_at on clients (unused_expires_at)
    where unused_expires_at is not null and deleted_at is null`,
  `create index grants_created_at on grants (created_at, id)`,
  `create index accounts_created_at on accounts (created_at, id)`,
  // The answer to a request that creates something, for a client that repeats the request because the answer was lost.
  `create table idempotency_keys (
    key_hash bytea primary key,
    request_hash bytea not null,
    response_sealed text,
    created_at timestamptz not null,
    expires_at timestamptz not null
  )`,
  `create index idempotency_keys_expires_at on idempotency_keys (expires_at)`,
  `alter table audit_events add column actor text, add column resource text`,
  `create index audit_events_grant_id on audit_events (grant_id, id) where grant_id is not null`,
  `create index audit_events_type on audit_events (type, id)`,
  `create index audit_events_actor on audit_events (actor, id)`,
  `create index audit_events_resource on audit_events (resource, id) where resource is not null`,
  // A program with the server's access to the tables can add to the audit, but neither change nor shorten it.
  `create function refuse_audit_change() returns trigger language plpgsql as $$
    begin
      raise exception 'audit_events is append-only' using errcode = 'insufficient_privilege';
    end
  $$`,
  `create trigger audit_events_append_only before update or delete or truncate on audit_events
    for each statement execute function refuse_audit_change()`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
