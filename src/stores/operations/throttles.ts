import { CompiledQuery } from 'kysely'
import type { Db } from '../../database/schema.ts'

/**
 * A limit on attempts under one key: `burst` at once, and one more every `everySeconds`. An unused key fills up again,
 * and its row is then equivalent to no row.
 */
export type ThrottleRule = { keyHash: Buffer; burst: number; everySeconds: number }

export type Begun = {
  /** The way that the attempt takes; `undefined` if it has to wait. */
  way: number | undefined
  /** For each way, the seconds until it is open; 0 means now. */
  waits: number[]
  isMarked: boolean
}

// The generic cell rate algorithm. A row holds only the time when its allowance is full again, which is also when it
// expires. One statement serves all processes; its conditional update decides between concurrent attempts.
const statement = `
  with asked as (
    select r.way, decode(r.key, 'hex') as key_hash, r.every, r.burst
    from json_to_recordset($1::json) as r(way int, key text, every float8, burst float8)
  ), waits as (
    select a.way, max(coalesce(extract(epoch from t.expires_at - $2::timestamptz), 0)::float8 - (a.burst - 1) * a.every) as seconds
    from asked a left join throttles t on t.key_hash = a.key_hash group by a.way
  ), chosen as (
    select a.key_hash, a.every, a.burst, a.way from asked a
    where a.way = (select min(way) from waits where seconds <= 0)
  ), counted as (
    insert into throttles as t (key_hash, failures, blocked_until, expires_at)
    select key_hash, 0, to_timestamp(0), $2::timestamptz + every * interval '1 second' from chosen order by key_hash
    on conflict (key_hash) do update set
      expires_at = (
        select greatest(t.expires_at, $2::timestamptz) + c.every * interval '1 second'
        from chosen c where c.key_hash = t.key_hash)
      where t.expires_at <= (
        select $2::timestamptz + (c.burst - 1) * c.every * interval '1 second'
        from chosen c where c.key_hash = t.key_hash)
    returning t.key_hash
  )
  select (select min(way) from chosen) as way, (select count(*) from chosen)::int as chosen,
    (select array_agg(encode(key_hash, 'hex')) from counted) as counted,
    (select array_agg(greatest(ceil(seconds), 0) order by way) from waits) as waits,
    exists (select from throttles where key_hash = $3 and expires_at > $2::timestamptz) as marked`

type Row = { way: number | null; chosen: number; counted: string[] | null; waits: number[]; marked: boolean }

/**
 * Begins an attempt in the first way whose keys all have something left, and takes one from each of these keys. An
 * attempt that has to wait takes nothing, so nobody waits longer because of it.
 *
 * An attempt that loses the race for the last one of a key waits a second, as if it had come later.
 *
 * @param options.mark - A key that the same statement looks up, for `isMarked`.
 */
export async function begin(
  db: Db,
  ways: readonly (readonly ThrottleRule[])[],
  { mark, at = new Date() }: { mark?: Buffer; at?: Date } = {},
): Promise<Begun> {
  const asked = ways.flatMap((rules, way) =>
    rules.map(({ keyHash, everySeconds: every, burst }) => ({ way, key: keyHash.toString('hex'), every, burst })),
  )
  const parameters = [JSON.stringify(asked), at, mark ?? null]
  const [row] = (await db.executeQuery<Row>(CompiledQuery.raw(statement, parameters))).rows
  if (!row) throw new Error('An attempt neither began nor was refused.')
  const { way, chosen, counted, waits, marked: isMarked } = row
  if (way === null || counted?.length === chosen) return { way: way ?? undefined, waits, isMarked }
  const rules = ways[way]
  if (!rules) throw new Error(`The statement chose way ${way} of ${ways.length}.`)
  const taken = rules.filter(({ keyHash }) => counted?.includes(keyHash.toString('hex')))
  if (taken.length > 0) await giveBack(db, { restored: taken })
  return { way: undefined, waits: waits.map((seconds) => Math.max(1, seconds)), isMarked }
}

/** Marks a key for a number of seconds from now. */
export async function mark(db: Db, keyHash: Buffer, seconds: number): Promise<void> {
  await db
    .insertInto('throttles')
    .values({ key_hash: keyHash, failures: 0, blocked_until: new Date(0), expires_at: inSeconds(seconds) })
    .onConflict((conflict) => conflict.column('key_hash').doUpdateSet({ expires_at: inSeconds(seconds) }))
    .execute()
}

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000)

/** Takes back an attempt: `restored` keys get it back, and `forgotten` keys are as if never used. */
export async function giveBack(
  db: Db,
  { restored, forgotten = [] }: { restored: readonly ThrottleRule[]; forgotten?: readonly ThrottleRule[] },
): Promise<void> {
  const document = restored.map(({ keyHash, everySeconds: every }) => ({ key: keyHash.toString('hex'), every }))
  // Locked in the same order as when attempts are counted.
  await db.executeQuery(
    CompiledQuery.raw(
      `with asked as (
         select decode(r.key, 'hex') as key_hash, r.every from json_to_recordset($1::json) as r(key text, every float8)
       ), held as materialized (
         select key_hash from throttles where key_hash in (select key_hash from asked) or key_hash = any($2)
         order by key_hash for update
       ), gone as (
         delete from throttles where key_hash in (select key_hash from held) and key_hash = any($2)
       )
       update throttles t set expires_at = t.expires_at - a.every * interval '1 second'
       from asked a where a.key_hash = t.key_hash and t.key_hash in (select key_hash from held)`,
      [JSON.stringify(document), forgotten.map(({ keyHash }) => keyHash)],
    ),
  )
}
