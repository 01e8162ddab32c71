import { sql } from 'kysely'
import type { Db, Tx } from '../../database/schema.ts'

// The groups of an account are the `groups` claim of its profile. The column `groups` is computed from it, for searching.

/** Adds an account to a group. `'not-a-list'` if its `groups` claim is something else. Nothing changes for a member. */
export async function add(tx: Tx, accountId: string, group: string): Promise<'added' | 'not-a-list'> {
  const { rows } = await sql<{ is_list: boolean }>`
    select coalesce(jsonb_typeof(profile -> 'groups'), 'array') = 'array' as is_list
    from accounts where id = ${accountId} for update`.execute(tx)
  if (rows[0]?.is_list === false) return 'not-a-list'
  await sql`
    update accounts
    set profile = jsonb_set(profile, '{groups}', coalesce(profile -> 'groups', '[]') || to_jsonb(${group}::text)),
      updated_at = ${new Date()}
    where id = ${accountId} and not groups @> array[${group}]`.execute(tx)
  return 'added'
}

/** Removes an account from a group. Nothing changes for an account that is not in it. */
export async function remove(tx: Tx, accountId: string, group: string): Promise<void> {
  await sql`
    update accounts set profile = jsonb_set(profile, '{groups}', (profile -> 'groups') - ${group}::text),
      updated_at = ${new Date()}
    where id = ${accountId} and groups @> array[${group}]`.execute(tx)
}

/** Lists the groups that have members, by name, after the group `after`. */
export async function list(
  db: Db,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<{ name: string; members: number }[]> {
  const { rows } = await sql<{ name: string; members: string }>`
    select name, count(*) as members from accounts cross join lateral (select distinct unnest(groups) as name) as each
    where cardinality(groups) > 0 and name > ${after ?? ''} group by name order by name limit ${limit}`.execute(db)
  return rows.map(({ name, members }) => ({ name, members: Number(members) }))
}
