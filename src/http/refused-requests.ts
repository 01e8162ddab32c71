import { AsyncLocalStorage } from 'node:async_hooks'
import type { Logger } from 'pino'
import type { Db } from '../database/schema.ts'
import * as store from '../stores/operations/refused-requests.ts'

export type RefusedRequests = {
  /** Records a rejected request. It takes no time: several are written together a moment later. */
  record(request: store.RefusedRequest): void
  /** Writes the requests that are still to be written. */
  stop(): Promise<void>
}

const everyMs = 500
const mostAtOnce = 200

/**
 * Stores rejected requests for a few days, so that an operator can look up why one was rejected. One that could not be
 * stored is still in the log.
 */
export function createRefusedRequests({ db, log }: { db: Db; log: Logger }): RefusedRequests {
  // A timer carries along the work of the request that started it. Writing is no part of that request.
  const outsideRequests = AsyncLocalStorage.snapshot()
  let waiting: store.RefusedRequest[] = []
  let timer: NodeJS.Timeout | undefined
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const requests = waiting
    waiting = []
    if (requests.length === 0) return
    await store.save(db, requests).catch((error) => log.warn({ err: error }, 'rejected requests could not be stored'))
  }

  return {
    record(request) {
      if (waiting.length < mostAtOnce) waiting.push(request)
      timer ??= outsideRequests(() =>
        setTimeout(() => {
          writing = writing.then(write)
        }, everyMs).unref(),
      )
    },
    async stop() {
      await writing
      await write()
    },
  }
}
