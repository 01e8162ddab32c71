import { type Kysely, sql } from 'kysely'

const statements = [
  // Letters that wait to be sent, and what became of those that were. A letter that was sent keeps no content.
  `create table outbox (
    id text primary key,
    kind text not null,
    recipient text not null,
    sealed text,
    created_at timestamptz not null,
    composed_at timestamptz,
    next_attempt_at timestamptz not null,
    deadline_at timestamptz not null,
    claims integer not null default 0,
    attempts integer not null default 0,
    leased_until timestamptz,
    sending_at timestamptz,
    sent_at timestamptz,
    failed_at timestamptz,
    last_error text,
    expires_at timestamptz not null,
    check (sealed is not null or sent_at is not null),
    check (sent_at is null or failed_at is null)
  )`,
  `create index outbox_due on outbox (next_attempt_at) where sent_at is null and failed_at is null`,
  `create index outbox_newest on outbox (created_at, id)`,
  `create index outbox_expires_at on outbox (expires_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
