import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'

/** The SQL statements that a server in this process sends, told apart by who sends them. */
export type Statements = {
  /** Those of requests and of the test itself. */
  ofRequests: string[]
  /** Those that the server sends on its own: of its start, its jobs, its checks, and what it writes later. */
  ofServer: string[]
  /** Notes a statement. It is called where the statement is sent. */
  note(sql: string): void
  /** Runs the start of a server. All that comes of it belongs to the server, except requests. */
  starting<T>(start: () => Promise<T>): Promise<T>
  /** Returns a function that tells whether a statement belongs to a request. It is called once for each that is sent. */
  tellApart(): (sql: string) => boolean
  stop(): void
}

// Whatever happens later in the process carries this along, so a request is never mistaken for a job, or the reverse.
const senders = new AsyncLocalStorage<'server' | 'request'>()
const requestBegins = 'http.server.request.start'
const enterRequest = () => senders.enterWith('request')

/** Begins to record statements. */
export function recordStatements(): Statements {
  const ofRequests: string[] = []
  const ofServer: string[] = []
  const unseen: string[][] = []
  subscribe(requestBegins, enterRequest)
  return {
    ofRequests,
    ofServer,
    note(sql) {
      if (senders.getStore() === 'server') {
        ofServer.push(sql)
        return
      }
      ofRequests.push(sql)
      for (const sent of unseen) sent.push(sql)
    },
    starting: (start) => senders.run('server', start),
    tellApart() {
      const sent: string[] = []
      unseen.push(sent)
      return (sql) => {
        const at = sent.indexOf(sql)
        if (at >= 0) sent.splice(at, 1)
        return at >= 0
      }
    },
    stop: () => unsubscribe(requestBegins, enterRequest),
  }
}
