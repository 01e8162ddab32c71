import { CompiledQuery } from 'kysely'
import type { Db } from '../../database/schema.ts'

/** The number of times that something may happen under one key in a window, which begins with the first time. */
export type RateLimit = { keyHash: Buffer; most: number }

const counting = `
    failures = case when t.expires_at <= $2::timestamptz then 1 else t.failures + 1 end,
    expires_at = case when t.expires_at <= $2::timestamptz then excluded.expires_at else t.expires_at end`
const window = `$2::timestamptz + $3 * interval '1 second'`

// One statement, for any number of processes. It counts under all keys or none: a request over one limit does not use
// another.
const ownStatement = `
  with asked as (
    select decode(r.key, 'hex') as key_hash, r.most from json_to_recordset($1::json) as r(key text, most int)
  ), exceeded as (
    select max(t.expires_at) as until from asked a join throttles t on t.key_hash = a.key_hash
    where t.expires_at > $2::timestamptz and t.failures >= a.most
  ), counted as (
    insert into throttles as t (key_hash, failures, blocked_until, expires_at)
    select key_hash, 1, to_timestamp(0), ${window} from asked where (select until from exceeded) is null order by key_hash
    on conflict (key_hash) do update set ${counting}
      where t.expires_at <= $2::timestamptz or t.failures < (select most from asked a where a.key_hash = t.key_hash)
    returning t.key_hash
  )
  select extract(epoch from (select until from exceeded) - $2::timestamptz)::float8 as seconds,
    (select count(*) from counted)::int as counted`

/**
 * Counts one more occurrence under each of several keys.
 *
 * @returns 0 if it is within all limits, otherwise the seconds to wait before trying again.
 */
export async function take(
  db: Db,
  { limits, windowSeconds }: { limits: readonly RateLimit[]; windowSeconds: number },
): Promise<number> {
  const asked = limits.map(({ keyHash, most }) => ({ key: keyHash.toString('hex'), most }))
  const { rows } = await db.executeQuery<{ seconds: number | null; counted: number }>(
    CompiledQuery.raw(ownStatement, [JSON.stringify(asked), new Date(), windowSeconds]),
  )
  const { seconds = 0, counted = 0 } = rows[0] ?? {}
  if (seconds) return Math.max(1, Math.ceil(seconds))
  return counted === limits.length ? 0 : 1 // concurrent requests took the rest
}

/** Returns whether one of these limits is used up, and counts nothing. */
export async function isUsedUp(db: Db, limits: readonly RateLimit[]): Promise<boolean> {
  const rows = await db
    .selectFrom('throttles')
    .select(['key_hash', 'failures'])
    .where(
      'key_hash',
      'in',
      limits.map(({ keyHash }) => keyHash),
    )
    .where('expires_at', '>', new Date())
    .execute()
  return limits.some(({ keyHash, most }) => rows.some((row) => row.key_hash.equals(keyHash) && row.failures >= most))
}

const sharedStatement = `
  with again as (
    select 1 from throttles where key_hash = $1 and expires_at > $2::timestamptz
  ), everyone as (
    insert into throttles as t (key_hash, failures, blocked_until, expires_at) values ($4, 1, to_timestamp(0), ${window})
    on conflict (key_hash) do update set ${counting}
      where t.expires_at <= $2::timestamptz
        or t.failures < $5::int - case when exists (select from again) then $6::int else 0 end
    returning t.key_hash
  ), own as (
    insert into throttles as t (key_hash, failures, blocked_until, expires_at)
    select $1, 1, to_timestamp(0), ${window} from everyone
    on conflict (key_hash) do update set ${counting}
    returning t.key_hash
  )
  select (select count(*) from everyone)::int as counted, (select count(*) from own)::int as own,
    (select extract(epoch from expires_at - $2::timestamptz)::float8 from throttles where key_hash = $4) as seconds`

/**
 * Counts one more occurrence under a limit that all share. A part of the limit is reserved for those who have had
 * nothing in this window, so that a few cannot use it up for all.
 *
 * @param own - The key of the one who asks.
 * @returns 0 if some of the limit was left, otherwise the seconds to wait before trying again.
 */
export async function takeShared(
  db: Db,
  { own, everyone, windowSeconds }: { own: Buffer; everyone: RateLimit & { reserved: number }; windowSeconds: number },
): Promise<number> {
  const { rows } = await db.executeQuery<{ seconds: number | null; counted: number }>(
    CompiledQuery.raw(sharedStatement, [
      own,
      new Date(),
      windowSeconds,
      everyone.keyHash,
      everyone.most,
      everyone.reserved,
    ]),
  )
  const { seconds, counted = 0 } = rows[0] ?? {}
  return counted > 0 ? 0 : Math.max(1, Math.ceil(seconds ?? 1))
}
