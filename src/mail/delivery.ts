import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../config/index.ts'
import type { Envelope } from '../crypto/envelope.ts'
import type { Db, Tx } from '../database/schema.ts'
import type { Letter, Mail } from '../stores/operations/letters.ts'
import * as outbox from '../stores/operations/outbox.ts'
import { build, type Headers } from './message.ts'
import type { Outcome, SmtpConnection } from './transport.ts'

/** Makes the mail of a letter. `undefined` if nobody has to receive it. */
export type Compose = (tx: Tx, letter: Letter) => Promise<Mail | undefined>

export type DeliveryDependencies = { db: Db; envelope: Envelope; config: Config; compose: Compose; log: Logger }

const renewalMs = 20_000 // a third of a lease
const firstWaitMs = 30_000
const longestWaitMs = 3_600_000

/** Returns how long a letter waits after its nth failure: twice as long each time, at random within a quarter. */
export function waitMs(failures: number, random: () => number = Math.random): number {
  return Math.min(firstWaitMs * 2 ** (failures - 1), longestWaitMs) * (0.75 + random() / 2)
}

/**
 * Makes the mail of a claimed letter and keeps it, unless the recipient may have received one already. In its own
 * transaction: none is open while a mail server takes its time. `undefined` if there is nothing to send.
 */
export async function prepare(
  { db, envelope, compose }: DeliveryDependencies,
  claimed: outbox.Claim,
): Promise<outbox.ComposedMail | undefined> {
  if (claimed.unsettled) return claimed.unsettled
  return db.transaction().execute(async (tx) => {
    const mail = await compose(tx, claimed.letter)
    if (mail) return outbox.keepMail(tx, envelope, claimed, mail)
    await outbox.drop(tx, claimed)
    return undefined
  })
}

/**
 * Sends a claimed letter, and notes the outcome. It never throws because of the letter or the mail server.
 *
 * @returns whether the connection can be used for another letter.
 */
export async function deliver(
  dependencies: DeliveryDependencies,
  connection: SmtpConnection,
  claimed: outbox.Claim,
): Promise<boolean> {
  const { db, config, log } = dependencies
  const { id, kind } = claimed
  let composed: outbox.ComposedMail | undefined
  try {
    composed = await prepare(dependencies, claimed)
  } catch (error) {
    log.error({ err: error, letter: id, kind }, 'a mail could not be composed, and will be tried again')
    await fail(dependencies, claimed, { result: 'deferred', reason: 'The mail could not be composed: see the log.' })
    return true
  }
  if (!composed) return true
  const message = await build(composed.mail, headersOf(config, id, composed.composedAt))
  if (!message) {
    await fail(dependencies, claimed, { result: 'refused', reason: 'The address is not valid.' })
    return true
  }
  const renewal = setInterval(() => void outbox.renew(db, claimed).catch(() => {}), renewalMs)
  try {
    const outcome = await connection.send(message, () => outbox.noteSending(db, claimed))
    if (outcome.result !== 'accepted') {
      await fail(dependencies, claimed, outcome)
      return false
    }
    log.info({ letter: id, kind, answer: outcome.answer.slice(0, 200) }, 'a mail was sent')
    await noteSent(dependencies, claimed)
    return true
  } finally {
    clearInterval(renewal)
  }
}

/** Returns the headers of a letter's mail. They are the same for each attempt to send one mail. */
export function headersOf(config: Config, id: string, date: Date): Headers {
  const { ISSUER, MAIL_FROM, MAIL_REPLY_TO } = config
  if (!MAIL_FROM) throw new Error('MAIL_FROM is not set.')
  return { messageId: `<${id}@${new URL(ISSUER).hostname}>`, date, from: MAIL_FROM, replyTo: MAIL_REPLY_TO }
}

const notingAttempts = 20

/**
 * Notes that a mail was sent. It tries again while the database is away, because a mail that was sent and not noted is
 * sent twice.
 */
async function noteSent({ db, log }: DeliveryDependencies, claimed: outbox.Claim): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await outbox.noteSent(db, claimed)
    } catch (error) {
      if (attempt === notingAttempts) {
        log.error({ err: error, letter: claimed.id }, 'a mail was sent, but this could not be noted: it is sent again')
        return
      }
      await sleep(1_000)
    }
  }
}

async function fail(
  { db, log }: DeliveryDependencies,
  claimed: outbox.Claim,
  { result, reason }: Exclude<Outcome, { result: 'accepted' }>,
): Promise<void> {
  const { id, kind, attempts, deadlineAt } = claimed
  const nextAttemptAt = new Date(Date.now() + waitMs(attempts + 1))
  if (result === 'refused' || nextAttemptAt >= deadlineAt) {
    await outbox.giveUp(db, claimed, reason)
    log.warn({ letter: id, kind, reason }, 'a mail was not accepted, and is not tried again')
    return
  }
  await outbox.defer(db, claimed, { reason, nextAttemptAt, isUnsettled: result === 'unknown' || !!claimed.unsettled })
  log.warn({ letter: id, kind, reason, nextAttemptAt }, 'a mail could not be sent, and will be tried again')
}
