import { z } from 'zod'
import { emailAddress } from '../../accounts/email-addresses.ts'
import { sendNow } from '../../mail/trial.ts'
import type { Letter } from '../../stores/operations/letters.ts'
import * as outbox from '../../stores/operations/outbox-records.ts'
import { type Operation, type OperationContext, OperationError, operation } from '../operation.ts'
import { listInput, listOutput, page } from '../pagination.ts'

const shown = z.object({
  id: z.string(),
  created_at: z.string(),
  status: z.enum(outbox.letterStatuses).describe('`failed` if it is not tried again.'),
  to: z.string(),
  kind: z.string(),
  attempts: z.int(),
  next_attempt_at: z.string().optional(),
  sent_at: z.string().optional(),
  last_error: z.string().optional().describe('The last answer of the mail server, or why it could not be reached.'),
})

const id = z.string().min(1).max(100).describe('The ID of the mail, as `mail list` shows it.')

/** Lists the operations on mails: those that wait, and those of the last days. */
export function operations(): Operation[] {
  return [
    operation({
      noun: 'mail',
      verb: 'list',
      summary: 'List mails that wait and those of the last days, newest first',
      scope: 'postern:mail:read',
      http: { method: 'GET', path: '/mails' },
      input: z.strictObject({
        status: z.enum(outbox.letterStatuses).optional().describe('Only mails with this status.'),
        to: z.string().max(320).optional().describe('Only mails to this address.'),
        ...listInput,
      }),
      output: listOutput(shown),
      columns: ['id', 'created_at', 'status', 'to', 'kind', 'attempts', 'last_error'],
      run: ({ tx, storage }, { status, to, cursor, limit }) =>
        page(storage.envelope, {
          list: `mails:${JSON.stringify([status, to])}`,
          cursor,
          limit,
          read: (options) => outbox.list(tx, { status, recipient: to, ...options }),
          positionOf: (record) => ({ at: record.createdAt, id: record.id }),
          show,
        }),
    }),

    operation({
      noun: 'mail',
      verb: 'show',
      summary: 'Show the text of a mail that waits; it can contain a link that opens an account',
      scope: 'postern:mail',
      http: { method: 'POST', path: '/mails/{id}/show' },
      input: z.strictObject({ id }),
      output: shown.extend({ subject: z.string(), text: z.string() }),
      run: (context, input) => read(context, input.id),
    }),

    operation({
      noun: 'mail',
      verb: 'retry',
      summary: 'Try now to send a mail that waits or has failed',
      scope: 'postern:mail',
      http: { method: 'POST', path: '/mails/{id}/retry' },
      input: z.strictObject({ id }),
      output: shown,
      async run({ tx, storage, record }, input) {
        const found = await outbox.find(tx, storage.envelope, input.id)
        if (!found) throw notFound()
        if (!(await outbox.retry(tx, input.id))) throw new OperationError('conflict', 'This mail was sent already.')
        record({
          type: 'mail.retried',
          accountId: accountOf(found.letter),
          details: { mail: found.id, kind: found.kind },
        })
        return show({ ...found, status: 'waiting', nextAttemptAt: new Date() })
      },
    }),

    operation({
      noun: 'mail',
      verb: 'test',
      summary: 'Send a test mail, and show the answer of the mail server',
      scope: 'postern:mail',
      http: { method: 'POST', path: '/mails/test' },
      input: z.strictObject({ to: emailAddress.describe('The address to send it to.') }),
      output: z.object({
        result: z
          .enum(['accepted', 'refused', 'deferred', 'unknown'])
          .describe('`deferred` if the same mail may be accepted later, `unknown` if the server gave no answer to it.'),
        answer: z.string().describe('The answer of the mail server, or why it could not be reached.'),
      }),
      async prepare({ config, database, compose }, { to }) {
        if (!config.SMTP_URL) {
          throw new OperationError('conflict', 'No mail is sent because SMTP_URL is not set. See docs/mail.md.')
        }
        const mail = await database.db.transaction().execute((tx) => compose(tx, { kind: 'test', to }))
        if (!mail) throw new Error('There is no test mail.')
        return sendNow(config, mail)
      },
      async run({ record }, _input, outcome) {
        record({ type: 'mail.tested', details: { result: outcome.result } })
        return { result: outcome.result, answer: outcome.result === 'accepted' ? outcome.answer : outcome.reason }
      },
    }),
  ]
}

async function read({ tx, storage: { envelope }, compose, record }: OperationContext, id: string) {
  const found = await outbox.find(tx, envelope, id)
  if (!found) throw notFound()
  const { letter } = found
  if (!letter) throw new OperationError('conflict', 'The content of a mail is forgotten when it was sent.')
  const mail = found.mail ?? (await compose(tx, letter))
  if (!mail) {
    throw new OperationError('conflict', 'Nobody will receive this mail: there is no account that it could be about.')
  }
  if (!found.mail && !(await outbox.keepShown(tx, envelope, { id, letter, mail }))) {
    throw new OperationError('conflict', 'This mail is being sent at the moment.')
  }
  record({ type: 'mail.read', accountId: accountOf(letter), details: { mail: id, kind: found.kind } })
  return { ...show(found), to: mail.to, subject: mail.subject, text: mail.text }
}

// The audit names accounts by their ID, never by an address: an erased account must not be found there.
const accountOf = (letter: Letter | undefined) => (letter && 'accountId' in letter ? letter.accountId : undefined)

const notFound = () =>
  new OperationError('not-found', {
    field: 'id',
    message: 'There is no mail with this ID. Mails are listed until three days after they were sent or given up.',
  })

function show(record: outbox.LetterRecord): z.input<typeof shown> {
  return {
    id: record.id,
    created_at: record.createdAt.toISOString(),
    status: record.status,
    to: record.recipient,
    kind: record.kind,
    attempts: record.attempts,
    next_attempt_at: record.nextAttemptAt?.toISOString(),
    sent_at: record.sentAt?.toISOString(),
    last_error: record.lastError,
  }
}
