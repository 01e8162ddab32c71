import type { Logger } from 'pino'
import type { Db } from '../database/schema.ts'
import * as store from '../stores/operations/refused-requests.ts'

export type RefusedRequests = {
  /** Notes a refused request. Costs no time: it is written a moment later, with others. */
  record(request: store.RefusedRequest): void
  /** Writes what was noted. */
  stop(): Promise<void>
}

const everyMs = 500
const mostAtOnce = 200

/** Keeps refused requests for a few days, so that an operator can ask why one was. What is lost is still in the log. */
export function createRefusedRequests({ db, log }: { db: Db; log: Logger }): RefusedRequests {
  let waiting: store.RefusedRequest[] = []
  let timer: NodeJS.Timeout | undefined
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const requests = waiting
    waiting = []
    if (requests.length === 0) return
    await store.save(db, requests).catch((error) => log.warn({ err: error }, 'refused requests could not be kept'))
  }

  return {
    record(request) {
      if (waiting.length < mostAtOnce) waiting.push(request)
      timer ??= setTimeout(() => {
        writing = writing.then(write)
      }, everyMs).unref()
    },
    async stop() {
      await writing
      await write()
    },
  }
}
