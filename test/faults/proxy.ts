import { connect as connectTo, createServer, type Socket } from 'node:net'
import type { TestPostern } from '../support/postern.ts'

/**
 * The moment when the connection breaks: before the statement is sent, before it ends, or after it is done but
 * before its answer arrives. A `silent` connection delivers nothing to either side, and neither side gets an error.
 */
export type Moment = 'before' | 'during' | 'after' | 'silent'

/** A statement that is held on its way to PostgreSQL, together with its connection. */
export type HeldStatement = {
  /** Resolves with the statement's text when one is held. */
  reached: Promise<string>
  /** Lets the statement continue. If none is held yet, none will be. */
  release(): void
}

export type Cut = { match: (statement: string) => boolean; nth?: number; when: Moment }

/** A network between a server and its PostgreSQL that a test can break. */
export type DatabaseProxy = {
  /** Gives the address of a database through this network. */
  urlOf(databaseUrl: string): string
  /** The statements that passed since the last `statements.splice(0)`. */
  statements: string[]
  /** Counts only statements of requests from now on, and breaks the connection only at these. */
  onlyRequestsOf(server: Pick<TestPostern, 'tellApart'>): void
  /** Breaks the connection at the nth statement that matches (the first is 0). Resolves when it has happened. */
  cut(cut: Cut): Promise<void>
  /** Holds the next statement that matches, judged by its text and by all bytes sent with it. */
  hold(match: (statement: string, bytes: Buffer) => boolean): HeldStatement
  /** Forgets a cut that has not happened. */
  heal(): void
  /** Breaks every connection and refuses new ones. */
  refuse(): void
  /** Lets connections through again. */
  accept(): void
  close(): Promise<void>
}

/** Starts a proxy in front of the PostgreSQL of a URL. */
export async function startProxy(databaseUrl: string): Promise<DatabaseProxy> {
  const target = new URL(databaseUrl)
  const statements: string[] = []
  const sockets = new Set<Socket>()
  let pending: (Cut & { seen: number; done: () => void }) | undefined
  let awaited: { match: (statement: string, bytes: Buffer) => boolean; hold: (statement: string) => void } | undefined
  let onRelease = () => {}
  let isRefusing = false
  let isOfRequest = (_statement: string) => true

  /** Tells whether the connection breaks at this statement, and how. */
  function strike(statement: string): Moment | undefined {
    if (!isOfRequest(statement)) return undefined
    statements.push(statement)
    if (!pending?.match(statement)) return undefined
    pending.seen += 1
    if (pending.seen <= (pending.nth ?? 0)) return undefined
    const { when, done } = pending
    pending = undefined
    done()
    return when
  }

  const server = createServer((client) => {
    if (isRefusing) {
      client.destroy()
      return
    }
    const upstream = connectTo(Number(target.port || 5432), target.hostname)
    const breakBoth = () => {
      client.destroy()
      upstream.destroy()
    }
    let isAnswerLost = false
    let isSilent = false
    let waiting: Buffer[] | undefined // the held statement first, then everything behind it
    const letThrough = () => {
      for (const bytes of waiting ?? []) upstream.write(bytes)
      waiting = undefined
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', breakBoth)
      socket.on('close', () => {
        sockets.delete(socket)
        breakBoth()
      })
    }

    const exchanges = exchangesOf()
    client.on('data', (data: Buffer) => {
      if (isSilent) return
      for (const { bytes, statement } of exchanges(data)) {
        const moment = statement === undefined ? undefined : strike(statement)
        if (moment === 'before') return breakBoth()
        if (moment === 'silent') {
          isSilent = true
          return
        }
        if (moment === 'during') {
          upstream.end(bytes) // delivered, so PostgreSQL executes it
          client.destroy()
          return
        }
        if (moment === 'after') isAnswerLost = true
        if (statement !== undefined && awaited?.match(statement, bytes)) {
          waiting = []
          onRelease = letThrough
          awaited.hold(statement)
          awaited = undefined
        }
        if (waiting) waiting.push(bytes)
        else upstream.write(bytes)
      }
    })
    const answers = messagesOf(true)
    upstream.on('data', (data: Buffer) => {
      if (isSilent) return
      const isReady = answers(data).some(({ type }) => type === 'Z')
      if (!isAnswerLost) client.write(data)
      else if (isReady) breakBoth()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = address && typeof address === 'object' ? address.port : 0
  const breakAll = () => {
    for (const socket of sockets) socket.destroy()
  }

  return {
    urlOf: (url) => Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).href,
    statements,
    onlyRequestsOf(server) {
      isOfRequest = server.tellApart()
    },
    cut: (cut) =>
      new Promise((resolve) => {
        pending = { ...cut, seen: 0, done: resolve }
      }),
    hold(match) {
      const reached = Promise.withResolvers<string>()
      awaited = { match, hold: reached.resolve }
      onRelease = () => {}
      return {
        reached: reached.promise,
        release() {
          awaited = undefined
          onRelease()
        },
      }
    },
    heal() {
      pending = undefined
    },
    refuse() {
      isRefusing = true
      breakAll()
    },
    accept() {
      isRefusing = false
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      breakAll()
      await closed
    },
  }
}

type Message = { type: string | undefined; bytes: Buffer }

/** Splits a stream into protocol messages. Each begins with a letter for its type, except a client's first. */
function messagesOf(isTyped: boolean): (data: Buffer) => Message[] {
  let rest = Buffer.alloc(0)
  let hasType = isTyped
  return (data) => {
    rest = Buffer.concat([rest, data])
    const messages: Message[] = []
    for (;;) {
      const start = hasType ? 1 : 0
      if (rest.length < start + 4) return messages
      const end = start + rest.readUInt32BE(start)
      if (rest.length < end) return messages
      messages.push({ type: hasType ? String.fromCharCode(rest[0] ?? 0) : undefined, bytes: rest.subarray(0, end) })
      rest = rest.subarray(end)
      hasType = true
    }
  }
}

/** Groups a client's messages by what is answered together: all up to a Sync, or one simple Query. */
function exchangesOf(): (data: Buffer) => { bytes: Buffer; statement: string | undefined }[] {
  const messages = messagesOf(false)
  const prepared = new Map<string, string>()
  let collected: Buffer[] = []
  let statement: string | undefined
  return (data) => {
    const exchanges: { bytes: Buffer; statement: string | undefined }[] = []
    for (const { type, bytes } of messages(data)) {
      collected.push(bytes)
      const [first = '', second = ''] = bytes.subarray(5).toString().split('\0', 2)
      if (type === 'P') prepared.set(first, second)
      if (type === 'B') statement = prepared.get(second) ?? ''
      if (type === 'Q') statement = first
      if (type !== undefined && 'PBDEC'.includes(type)) continue
      exchanges.push({ bytes: Buffer.concat(collected), statement })
      collected = []
      statement = undefined
    }
    return exchanges
  }
}
