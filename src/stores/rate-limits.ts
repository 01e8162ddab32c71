import { CompiledQuery } from 'kysely'
import type { Db } from '../database/schema.ts'

/** How often something may happen under one key until its window ends, which begins with the first time. */
export type RateLimit = { keyHash: Buffer; most: number }

// One statement for any number of processes. What is over the limit of its own is not counted for all: else whoever
// asks often enough would use up what is meant for everybody.
const counting = `on conflict (key_hash) do update set
    failures = case when t.expires_at <= $3::timestamptz then 1 else t.failures + 1 end,
    expires_at = case when t.expires_at <= $3::timestamptz then excluded.expires_at else t.expires_at end
  returning t.failures, t.expires_at`

const statement = `
  with own as (
    insert into throttles as t (key_hash, failures, blocked_until, expires_at)
    values ($1, 1, to_timestamp(0), $3::timestamptz + $4 * interval '1 second') ${counting}
  ), everyone as (
    insert into throttles as t (key_hash, failures, blocked_until, expires_at)
    select $2, 1, to_timestamp(0), $3::timestamptz + $4 * interval '1 second' from own where failures <= $5 ${counting}
  )
  select extract(epoch from max(expires_at) - $3::timestamptz)::float8 as seconds from (
    select expires_at from own where failures > $5 union all select expires_at from everyone where failures > $6
  ) exceeded`

/**
 * Counts one more time that something happens, under a key of its own and under one for everyone.
 *
 * @returns 0 when it is within both limits, else the seconds after which to try again.
 */
export async function take(
  db: Db,
  { own, everyone, windowSeconds }: { own: RateLimit; everyone: RateLimit; windowSeconds: number },
): Promise<number> {
  const parameters = [own.keyHash, everyone.keyHash, new Date(), windowSeconds, own.most, everyone.most]
  const { rows } = await db.executeQuery<{ seconds: number | null }>(CompiledQuery.raw(statement, parameters))
  const seconds = rows[0]?.seconds ?? 0
  return seconds > 0 ? Math.ceil(seconds) : 0
}
