import { type Kysely, sql } from 'kysely'

const statements = [
  // Events that strangers can cause at will are kept for a limited time. All others have no expiry.
  `alter table audit_events add column expires_at timestamptz`,
  `create index audit_events_expires_at on audit_events (expires_at) where expires_at is not null`,
  // The audit is still append-only, except for rows that were written with an expiry, once it has passed.
  `create function refuse_audit_deletion() returns trigger language plpgsql as $$
    begin
      if old.expires_at is null or old.expires_at > now() then
        raise exception 'audit_events is append-only' using errcode = 'insufficient_privilege';
      end if;
      return old;
    end
  $$`,
  `drop trigger audit_events_append_only on audit_events`,
  `create trigger audit_events_append_only before update or truncate on audit_events
    for each statement execute function refuse_audit_change()`,
  `create trigger audit_events_kept before delete on audit_events
    for each row execute function refuse_audit_deletion()`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
