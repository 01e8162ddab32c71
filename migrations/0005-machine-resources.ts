import { type Kysely, sql } from 'kysely'

// A client without a person has a scope of an API only if its metadata lists the API as well. Machines that an
// administrator registered without a list get the list that matches what they could do until now: the APIs with a scope
// of theirs. Scopes of OpenID Connect belong to any client, so they count for no API. A machine with scopes of the
// admin API keeps only these until an administrator adds a list: the identifier of that API is not known here, and a
// list would leave it out.
const machines = `
  with pairs as (
    select c.id, r.identifier from clients c, resource_servers r, jsonb_object_keys(r.scopes) as s(name)
    where not c.dynamic and not c.document and c.deleted_at is null and not c.metadata ? 'resources'
      and c.metadata->'grant_types' = '["client_credentials"]'
      and s.name = any(string_to_array(c.metadata->>'scope', ' '))
      and s.name not in ('openid', 'profile', 'email', 'phone', 'address', 'groups', 'offline_access')
      and c.metadata->>'scope' !~ '(^| )postern:'
  ), lists as (
    select id, jsonb_agg(distinct identifier) as resources from pairs group by id
  )
  update clients c set metadata = c.metadata || jsonb_build_object('resources', l.resources), updated_at = now()
  from lists l where l.id = c.id`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(machines).execute(db)
}
