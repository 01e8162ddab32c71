import { type Kysely, sql } from 'kysely'

// Signing keys and shared secrets become one table, so that all of them have one life cycle.
const statements = [
  `create table keys (
    id text primary key,
    purpose text not null,
    state text not null check (state in ('pending', 'published', 'active', 'retired', 'removed')),
    sealed text,
    public_jwk jsonb,
    service_reference text,
    created_at timestamptz not null,
    published_at timestamptz,
    active_at timestamptz,
    retired_at timestamptz,
    removed_at timestamptz,
    revoked_at timestamptz,
    rotation_requested_at timestamptz
  )`,
  `create unique index keys_active on keys (purpose) where state = 'active'`,
  `create unique index keys_successor on keys (purpose) where state in ('pending', 'published')`,
  // Existing keys count as active from now, however old: none may rotate while processes of the previous release still
  // run.
  `insert into keys (id, purpose, state, sealed, created_at, published_at, active_at)
   select kid, alg, state, private_jwk_sealed, created_at, created_at, now() from signing_keys`,
  `insert into keys (id, purpose, state, sealed, created_at, published_at, active_at)
   select name, name, 'active', value_sealed, created_at, created_at, now() from shared_secrets`,
  `drop table signing_keys, shared_secrets`,
  // The ids of the key-encryption keys that something may be sealed with.
  `create table encryption_keys (
    id text primary key,
    created_at timestamptz not null
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
