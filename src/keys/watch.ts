import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Database } from '../database/connect.ts'
import { listen } from '../database/notifications.ts'
import * as keys from '../stores/keys/keys.ts'
import { record } from './encryption-keys.ts'
import { type Keyring, load } from './keyring.ts'
import type { RotationDependencies } from './rotation.ts'

export type KeyWatch = {
  /** Returns whether the keys of this process were confirmed as current in the last five seconds. */
  isCurrent(): boolean
  stop(): Promise<void>
}

const checkEveryMs = 2_000
const longestCheckMs = 5_000
const staleAfterMs = 5_000 // life-cycle.ts allows twice that for a change to settle

/** Rejects if work takes too long, as on a connection that was lost silently: the next attempt may get another one. */
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
 * Calls `onChange` with the new keys whenever they changed, in this process or another. Notifications report a change
 * at once; in case one is lost, it also asks the database every two seconds.
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

  /** Loads the keys, if they differ from the known ones. */
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
      if (!isStopped && !isFailing) log.error({ err: error }, 'the keys could not be loaded, and will be tried again')
      isFailing = true
    }
    if (!isStopped) timer = setTimeout(soon, checkEveryMs).unref()
  }

  // One after the other, so that the keys loaded last are used.
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
