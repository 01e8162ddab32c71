import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { openPrivate } from './data-dir.ts'

const pollMs = 20
const noticeableMs = 3_000

/**
 * Runs `work` while no other process does.
 *
 * Node.js cannot lock a file, but its SQLite can. The kernel releases the lock when the process that holds it ends. A
 * file with a process id in it could become stale; this lock cannot.
 */
export async function alone<T>(path: string, log: (message: string) => void, work: () => Promise<T>): Promise<T> {
  await (await openPrivate(path)).close()
  const lock = new DatabaseSync(path, { timeout: 0 })
  try {
    const begun = Date.now()
    for (let told = false; !tryLock(lock); await sleep(pollMs)) {
      if (Date.now() - begun > noticeableMs && !told) {
        log('Waiting for another process to finish starting PostgreSQL')
        told = true
      }
    }
    return await work()
  } finally {
    lock.close()
  }
}

function tryLock(lock: DatabaseSync): boolean {
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive') // a journal file would outlive a killed process
    return true
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return false // SQLITE_BUSY
    throw error
  }
}
