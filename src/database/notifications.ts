import type pg from 'pg'
import type { Database } from './connect.ts'

const reconnectDelayMs = 1_000

export type Notifications = { stop(): Promise<void> }

/**
 * Listens on a channel and calls `onMessage` with each payload. It reconnects when the connection is lost. Messages
 * sent in the meantime are lost, so every listener also needs its own bound on staleness.
 */
export function listen(database: Database, channel: string, onMessage: (payload: string) => void): Notifications {
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  const retry = () => {
    client = undefined
    if (!isStopped) timer = setTimeout(start, reconnectDelayMs).unref()
  }

  async function start(): Promise<void> {
    try {
      const connected = await database.dedicated()
      if (isStopped) return await connected.end()
      client = connected
      connected.on('notification', ({ payload }) => onMessage(payload ?? ''))
      connected.on('end', retry)
      await connected.query(`listen ${connected.escapeIdentifier(channel)}`)
    } catch {
      // The database cannot be reached now; the next attempt may succeed. A half-open client reports its own end.
      if (!client) retry()
    }
  }

  void start()
  return {
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await client?.end().catch(() => {})
    },
  }
}
