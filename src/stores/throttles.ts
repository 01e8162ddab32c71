import { CompiledQuery } from 'kysely'
import type { Db } from '../database/schema.ts'

/** How failures under one key slow down further attempts. */
export type ThrottleRule = {
  keyHash: Buffer
  /** Failures that cost nothing, for people who mistype. */
  free: number
  /** The delay never grows beyond this; a delay, not a lock, so that nobody can lock another out for good. */
  longestDelaySeconds: number
}

const forgottenAfterSeconds = 3_600

// One statement, so that parallel guesses are counted one by one, on every process. An attempt counts as a
// failure from its start and is taken back if it succeeds; the delay doubles with each failure past the free ones.
// Without a delay, blocked until the beginning of time and not until now: of attempts at the same moment, the one
// that came first may be counted last, and its moment is then before the other's.
const statement = `
  with rules as (
    select decode(r.key, 'hex') as key_hash, r.free, r.longest
    from json_to_recordset($1::json) as r(key text, free int, longest float8)
  ), blocked as (
    select extract(epoch from max(t.blocked_until) - $2::timestamptz)::float8 as seconds
    from throttles t where t.key_hash in (select key_hash from rules) and t.blocked_until > $2::timestamptz
  ), counted as (
    insert into throttles as t (key_hash, failures, blocked_until, expires_at)
    select key_hash, 1, case when free < 1 then $2::timestamptz + interval '1 second' else to_timestamp(0) end,
      $2::timestamptz + $3 * interval '1 second'
    from rules where (select seconds from blocked) is null order by key_hash
    on conflict (key_hash) do update set
      failures = case when t.expires_at < $2::timestamptz then 1 else t.failures + 1 end,
      blocked_until = (
        select case when t.expires_at < $2::timestamptz or t.failures + 1 <= r.free then to_timestamp(0)
          else $2::timestamptz + interval '1 second' * least(r.longest, power(2, least(t.failures - r.free, 30))) end
        from rules r where r.key_hash = t.key_hash),
      expires_at = $2::timestamptz + $3 * interval '1 second'
      where t.blocked_until <= $2::timestamptz
    returning t.key_hash
  )
  select (select seconds from blocked) as seconds, (select count(*) from counted)::int as counted`

/**
 * Begins an attempt under several keys. Returns 0 when it may go on, else the seconds to wait.
 *
 * Whoever loses a race for the last free attempt waits a second, as if they had come later.
 */
export async function begin(db: Db, rules: ThrottleRule[]): Promise<number> {
  const document = rules.map(({ keyHash, free, longestDelaySeconds }) => ({
    key: keyHash.toString('hex'),
    free,
    longest: longestDelaySeconds,
  }))
  const { rows } = await db.executeQuery<{ seconds: number | null; counted: number }>(
    CompiledQuery.raw(statement, [JSON.stringify(document), new Date(), forgottenAfterSeconds]),
  )
  const [row] = rows
  if (row?.seconds) return Math.max(1, Math.ceil(row.seconds))
  return row?.counted === rules.length ? 0 : 1
}

/** Takes back an attempt that succeeded: `cleared` keys start anew, `refunded` ones lose just this attempt. */
export async function succeed(db: Db, { cleared, refunded }: { cleared: Buffer[]; refunded: Buffer[] }): Promise<void> {
  await db.executeQuery(
    CompiledQuery.raw(
      `with gone as (delete from throttles where key_hash = any($1))
       update throttles set failures = greatest(failures - 1, 0), blocked_until = to_timestamp(0)
       where key_hash = any($2)`,
      [cleared, refunded],
    ),
  )
}
