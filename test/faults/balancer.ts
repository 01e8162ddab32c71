import type { Fetch, Fleet, ServerProcess } from '../support/processes.ts'

/** A load balancer in front of the processes of a fleet, which knows which of them are running. */
export type Balancer = {
  /** Sends each request to the next process, and to another one if that process is lost before it answers. */
  fetch: Fetch
  /** Takes a process out of use: its unanswered requests go to another process. */
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
      lost?.promise.catch(() => {}) // perhaps no request waits for it
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
