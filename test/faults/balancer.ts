import type { Fetch, Fleet, ServerProcess } from '../support/processes.ts'

/** What stands before the processes of a fleet, and knows which of them are there. */
export type Balancer = {
  /** Sends each request to another process than the one before, and once more if the process was lost meanwhile. */
  fetch: Fetch
  /** Gives up on a process: what it has not answered is asked of another. */
  lose(server: ServerProcess): void
  regain(server: ServerProcess): void
  /** How often a process was lost. */
  readonly losses: number
}

export function createBalancer({ processes }: Fleet): Balancer {
  const living = new Map(processes.map((server) => [server, Promise.withResolvers<never>()]))
  let [count, losses] = [0, 0]

  const fetch: Fetch = async (input, init) => {
    const [server, lost] = [...living][count++ % living.size] ?? []
    if (!server || !lost) throw new Error('no process is left')
    try {
      return await Promise.race([server.fetch(input, init), lost.promise])
    } catch (error) {
      if (living.get(server) === lost) throw error
      return fetch(input, init)
    }
  }

  return {
    fetch,
    lose(server) {
      losses += 1
      const lost = living.get(server)
      living.delete(server)
      lost?.promise.catch(() => {}) // nobody may be waiting for it
      lost?.reject(new Error('the process is lost'))
    },
    regain(server) {
      living.set(server, Promise.withResolvers())
    },
    get losses() {
      return losses
    },
  }
}
