import type { Database } from '../database/connect.ts'
import { listen } from '../database/notifications.ts'
import { type DeliveryDependencies, deliver, prepare } from '../mail/delivery.ts'
import { hasMailbox } from '../mail/mailbox.ts'
import { open, type SmtpConnection } from '../mail/transport.ts'
import * as outbox from '../stores/operations/outbox.ts'
import type { Recurrence } from './recurrence.ts'

const pollMs = 5_000 // a notification comes sooner, unless its connection was lost
const shortestOutageMs = 2_000
const longestOutageMs = 60_000 // letters arrive at most that long after the mail server is back

export type MailDelivery = Recurrence & {
  /** Looks for letters now. */
  wake(): void
}

/**
 * Starts delivering letters, several at a time, in every process. Without SMTP_URL it only makes the mails, for
 * `postern mail` and the mailbox page.
 *
 * It connects to the mail server before it claims a letter. So an outage does not count as a failure of letters: all of them wait,
 * and the links in their mails are made when the server is back.
 */
export function startDeliveringMail({
  database,
  ...dependencies
}: { database: Database } & Omit<DeliveryDependencies, 'db'>): MailDelivery {
  const { db } = database
  const { config, envelope, log } = dependencies
  const delivery: DeliveryDependencies = { db, ...dependencies }
  const most = config.SMTP_URL ? config.MAIL_CONNECTIONS : 1
  const uncomposed = { uncomposed: config.SMTP_URL === undefined }
  const workers = new Set<Promise<void>>()
  const connections = new Set<SmtpConnection>()
  const stopping = new AbortController()
  let isStopped = false
  let isLooking = false
  let failures = 0
  let pausedUntilMs = 0
  let timer: NodeJS.Timeout | undefined

  /** Starts as many workers as there are letters, up to the limit. */
  async function look(): Promise<void> {
    if (isStopped || isLooking || Date.now() < pausedUntilMs) return
    isLooking = true
    try {
      const free = most - workers.size
      const due = free > 0 ? await outbox.countDue(db, free, uncomposed) : 0
      for (let index = 0; index < due && !isStopped; index++) start(config.SMTP_URL ? send : compose)
    } catch (error) {
      if (!isStopped) log.warn({ err: error }, 'looking for mails failed, and will be tried again')
    } finally {
      isLooking = false
    }
  }

  function start(work: () => Promise<void>): void {
    const worker = work()
      .catch((error) => {
        if (!isStopped) log.warn({ err: error }, 'delivering mails failed, and will be tried again')
      })
      .finally(() => {
        workers.delete(worker)
      })
    workers.add(worker)
  }

  /** Sends letters over one connection until none is due or the connection has failed. */
  async function send(): Promise<void> {
    const connection = await connect()
    if (!connection) return
    connections.add(connection)
    try {
      let isUsable = true
      while (isUsable && !isStopped) {
        const claimed = await outbox.claim(db, envelope)
        if (!claimed) return
        isUsable = await deliver(delivery, connection, claimed)
      }
      if (!isUsable) setImmediate(wake)
    } finally {
      connections.delete(connection)
      connection.close()
    }
  }

  async function connect(): Promise<SmtpConnection | undefined> {
    try {
      const connection = await open(config, stopping.signal)
      if (failures > 0) log.info('the mail server can be reached again')
      failures = 0
      return connection
    } catch (error) {
      if (isStopped || Date.now() < pausedUntilMs) return undefined // another worker noted it
      failures += 1
      const waitMs = Math.min(shortestOutageMs * 2 ** (failures - 1), longestOutageMs) * (0.75 + Math.random() / 4)
      pausedUntilMs = Date.now() + waitMs
      setTimeout(wake, waitMs).unref()
      const reason = error instanceof Error ? error.message : String(error)
      log.warn({ reason }, 'the mail server cannot be used: mails wait for it')
      await outbox.noteOutage(db, reason.slice(0, 500))
      return undefined
    }
  }

  async function compose(): Promise<void> {
    for (;;) {
      const claimed = isStopped ? undefined : await outbox.claim(db, envelope, uncomposed)
      if (!claimed) return
      await prepare(delivery, claimed)
      await outbox.release(db, claimed)
    }
  }

  function wake(): void {
    void look()
  }

  function poll(): void {
    timer = setTimeout(() => void look().finally(poll), pollMs * (0.5 + Math.random())).unref()
  }

  if (!config.SMTP_URL && !hasMailbox(config)) {
    log.warn({ setting: 'SMTP_URL' }, 'there is no mail server, so mails wait: `postern mail list` shows them')
  }
  const notifications = listen(database, outbox.addedChannel, wake)
  wake()
  poll()
  return {
    wake,
    async stop() {
      isStopped = true
      stopping.abort()
      clearTimeout(timer)
      await notifications.stop()
      // A mail in flight may finish. If the server is too slow, its lease ends and another process sends it again.
      const patience = AbortSignal.timeout(config.SHUTDOWN_TIMEOUT_SECONDS * 1000)
      patience.addEventListener('abort', () => {
        for (const connection of connections) connection.close()
      })
      await Promise.all(workers)
    },
  }
}
