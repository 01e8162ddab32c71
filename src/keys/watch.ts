import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Database } from '../database/connect.ts'
import { listen } from '../database/notifications.ts'
import * as keys from '../stores/keys/keys.ts'
import { record } from './encryption-keys.ts'
import { type Keyring, load } from './keyring.ts'
import type { RotationDependencies } from './rotation.ts'

export type KeyWatch = {
  /** Whether it is known that the keys here are the current ones, give or take five seconds. */
  isCurrent(): boolean
  stop(): Promise<void>
}

const checkEveryMs = 2_000
const longestCheckMs = 5_000
const staleAfterMs = 5_000 // twice that is the time that life-cycle.ts gives a change to settle

/** Gives up on work that takes too long, such as over a connection that is lost without a word: the next may have another. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  const limit = new AbortController()
  const tooLate = sleep(longestCheckMs, undefined, { signal: limit.signal, ref: false }).then(() => {
    throw new Error('The database did not answer in time.')
  })
  try {
    return await Promise.race([work, tooLate])
  } finally {
    limit.abort()
    tooLate.catch(() => {})
    work.catch(() => {})
  }
}

/**
 * Calls `onChange` with the new keys whenever they changed, in this process or another. A change is heard at once by
 * notification; in case one is lost, it is asked for every two seconds.
 */
export function watchKeys(
  dependencies: RotationDependencies,
  {
    database,
    version,
    onChange,
    log,
  }: { database: Database; version: string; onChange(keyring: Keyring): void; log: Logger },
): KeyWatch {
  let known = version
  let checkedAt = Date.now()
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  let isAwaited = false
  let isFailing = false
  let running = Promise.resolve()

  /** The keys, if they are others than those that are known. */
  async function findOthers(): Promise<Keyring | undefined> {
    await record(dependencies.db, dependencies.envelope)
    return (await keys.version(dependencies.db)) === known ? undefined : load(dependencies)
  }

  async function check(): Promise<void> {
    isAwaited = false
    if (isStopped) return
    clearTimeout(timer)
    const now = Date.now()
    try {
      const keyring = await inTime(findOthers())
      if (keyring) {
        onChange(keyring)
        known = keyring.version
      }
      checkedAt = now
      isFailing = false
    } catch (error) {
      if (!isStopped && !isFailing) log.error({ err: error }, 'the keys could not be loaded, and it is tried on')
      isFailing = true
    }
    if (!isStopped) timer = setTimeout(soon, checkEveryMs).unref()
  }

  // One after the other, so that what is loaded last is what is used.
  function soon(): void {
    if (isAwaited) return
    isAwaited = true
    running = running.then(check)
  }

  const notifications = listen(database, keys.changedChannel, soon)
  soon()
  return {
    isCurrent: () => Date.now() - checkedAt < staleAfterMs,
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await notifications.stop()
      await running
    },
  }
}
