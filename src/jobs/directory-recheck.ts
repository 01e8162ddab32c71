import type { Logger } from 'pino'
import type { DirectoryAccounts } from '../accounts/directory-sign-in.ts'
import type { Database } from '../database/connect.ts'
import * as directoryAccounts from '../stores/people/directory-accounts.ts'
import { type Recurrence, recur } from './recurrence.ts'

const batchSize = 50

/**
 * Starts looking whether the people who are signed in still have an entry in the directory. Each account is looked at once
 * in the time given; several processes share the work.
 */
export function startRecheckingDirectory({
  database: { db },
  directory,
  log,
  everySeconds,
}: {
  database: Database
  directory: Pick<DirectoryAccounts, 'recheck'>
  log: Logger
  everySeconds: number
}): Recurrence {
  const takeDue = () =>
    db
      .transaction()
      .execute((tx) =>
        directoryAccounts.takeDue(tx, { before: new Date(Date.now() - everySeconds * 1_000), limit: batchSize }),
      )
  return recur(Math.min(everySeconds * 1_000, 60_000) / 2, {
    async work(isStopped) {
      for (let due = await takeDue(); due.length > 0 && !isStopped(); due = await takeDue()) {
        for (const account of due) {
          if (isStopped()) return
          // The next round looks again at those that were taken.
          if ((await directory.recheck(account)) === 'unavailable') return
        }
      }
    },
    onFailure: (error) => log.warn({ err: error }, 'the accounts of the directory could not be checked'),
  })
}
