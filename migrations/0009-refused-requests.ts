import { type Kysely, sql } from 'kysely'

const statements = [
  // Rejected requests and the reasons, kept for a few days, for people who set up an app or find out why it fails.
  `create table refused_requests (
    request_id text primary key,
    occurred_at timestamptz not null,
    client_id text,
    method text not null,
    path text not null,
    status integer not null,
    reason jsonb not null,
    expires_at timestamptz not null
  )`,
  `create index refused_requests_client_id on refused_requests (client_id, occurred_at, request_id)`,
  `create index refused_requests_occurred_at on refused_requests (occurred_at, request_id)`,
  `create index refused_requests_expires_at on refused_requests (expires_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
