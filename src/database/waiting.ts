import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { codeOf, isConnectionFailure } from './connect.ts'
import type { Db } from './schema.ts'

const firstPauseMs = 250
const longestPauseMs = 5_000

/** Codes of failures that may pass: not there yet, starting up, a standby before its promotion, out of connections. */
const passing =
  /^(EAI_AGAIN|ECONN.*|EHOSTUNREACH|ENETUNREACH|ENOENT|ENOTFOUND|EPIPE|ETIMEDOUT|08006|25006|53300|57P0[123])$/

/**
 * Waits up to `seconds` until the database can be reached. A server is often started together with its database.
 *
 * @throws the error of the last attempt, or at once an error that waiting would not help.
 */
export async function untilReachable(
  db: Db,
  { seconds, onWait, signal }: { seconds: number; onWait: (error: unknown) => void; signal: AbortSignal | undefined },
): Promise<void> {
  const giveUpAt = Date.now() + seconds * 1000
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    try {
      await sql`select 1`.execute(db)
      return
    } catch (error) {
      const mayCome = passing.test(codeOf(error) ?? '') || (codeOf(error) === undefined && isConnectionFailure(error))
      if (!mayCome || Date.now() + pauseMs > giveUpAt) throw error
      onWait(error)
      await sleep(pauseMs, undefined, { signal: signal ?? new AbortController().signal })
    }
  }
}
