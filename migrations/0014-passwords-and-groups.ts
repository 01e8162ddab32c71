import { type Kysely, sql } from 'kysely'

const statements = [
  // Set while a person has to choose another password before a sign-in continues.
  `alter table password_credentials add column change_required_at timestamptz`,
  // Finds the hash that is verified for an address without one: that of a random account.
  `create index password_credentials_random on password_credentials (hashtextextended(account_id, 0))`,
  // The `groups` claim as a column that finds everyone in a group. It is computed from the profile, so that it is also
  // right when the previous release writes the profile.
  `create function account_groups(profile jsonb) returns text[] language sql immutable parallel safe as $$
    select case jsonb_typeof(profile -> 'groups')
      when 'array' then array(select jsonb_array_elements_text(profile -> 'groups'))
      else array[]::text[]
    end
  $$`,
  `alter table accounts add column groups text[] not null generated always as (account_groups(profile)) stored`,
  `create index accounts_groups on accounts using gin (groups)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
