import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { codeOf, isConnectionFailure, isContention } from './connect.ts'
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

const longestTurnMs = 10 * 60_000 // others may be creating the tables or keys of a large deployment on a slow machine
const pauseMs = 100

/**
 * Repeats work of a start that must wait for other processes, until its turn comes. The time limits of a connection are
 * for requests, which give up after some seconds. A start has to wait: otherwise one of two processes that start together
 * would fail because the other is slow.
 *
 * @param isWaiting tells whether a failure means that another process has the lock, and that nothing was done.
 * @throws any other failure; and an explanation if no turn has come after ten minutes.
 */
export async function untilOurTurn<T>(
  work: () => Promise<T>,
  {
    isWaiting = isContention,
    longestMs = longestTurnMs,
  }: { isWaiting?(error: unknown): boolean; longestMs?: number } = {},
): Promise<T> {
  const giveUpAt = Date.now() + longestMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isWaiting(error)) throw error
      if (Date.now() > giveUpAt) {
        throw new Error(
          'Another process has kept a lock on the database since this one started. Find the process in pg_locks, end it, and start this one again.',
          { cause: error },
        )
      }
      await sleep(pauseMs)
    }
  }
}
