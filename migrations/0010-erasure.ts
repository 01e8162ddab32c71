import { type Kysely, sql } from 'kysely'

const statements = [
  // The audit is still append-only, with two exceptions that a transaction must announce. First: rows of a deleted
  // account lose the account and the address, and nothing else. They keep a made-up name in place of the account.
  `create function refuse_audit_update() returns trigger language plpgsql as $$
    begin
      if old.account_id is null
        or current_setting('postern.erased_account', true) is distinct from old.account_id
        or exists (select from accounts where id = old.account_id)
        or new.account_id not like 'erased:%' or new.account_id is null
        or new.address is not null or new.request_id is not null
        or (new.id, new.occurred_at, new.type, new.actor, new.client_id, new.grant_id, new.resource, new.details, new.expires_at)
          is distinct from
          (old.id, old.occurred_at, old.type, old.actor, old.client_id, old.grant_id, old.resource, old.details, old.expires_at)
      then
        raise exception 'audit_events is append-only' using errcode = 'insufficient_privilege';
      end if;
      return new;
    end
  $$`,
  `drop trigger audit_events_append_only on audit_events`,
  `create trigger audit_events_append_only before truncate on audit_events
    for each statement execute function refuse_audit_change()`,
  `create trigger audit_events_unchanged before update on audit_events
    for each row execute function refuse_audit_update()`,
  // Second: rows older than their retention time, which is at least a day.
  `create or replace function refuse_audit_deletion() returns trigger language plpgsql as $$
    declare
      kept_seconds bigint := nullif(current_setting('postern.audit_kept_seconds', true), '')::bigint;
    begin
      if (old.expires_at is null or old.expires_at > now())
        and (kept_seconds is null or old.occurred_at > now() - greatest(kept_seconds, 86400) * interval '1 second')
      then
        raise exception 'audit_events is append-only' using errcode = 'insufficient_privilege';
      end if;
      return old;
    end
  $$`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
