import { sql } from 'kysely'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db, Row, Tx } from '../../database/schema.ts'
import type { Position } from '../position.ts'
import type { Letter, LetterKind, Mail } from './letters.ts'
import { addedChannel, openContent, sealContent, shownMs, triedMs } from './outbox.ts'

/** The states of a letter. It is `failed` when its mail is not tried again. */
export const letterStatuses = ['waiting', 'sending', 'sent', 'failed'] as const

export type LetterStatus = (typeof letterStatuses)[number]

/** A letter as an administrator sees it, without its content. */
export type LetterRecord = {
  id: string
  kind: LetterKind
  recipient: string
  status: LetterStatus
  createdAt: Date
  sentAt: Date | undefined
  /** The next attempt, while it waits. */
  nextAttemptAt: Date | undefined
  attempts: number
  lastError: string | undefined
}

// biome-ignore format: it is a list
const columns = ['id', 'kind', 'recipient', 'created_at', 'next_attempt_at', 'attempts', 'leased_until', 'sent_at', 'failed_at', 'last_error'] as const

/** Lists letters, the newest first: all of them, or those of one status or recipient. */
export async function list(
  db: Db,
  {
    status,
    recipient,
    after,
    limit,
  }: { status?: LetterStatus | undefined; recipient?: string | undefined; after?: Position | undefined; limit: number },
): Promise<LetterRecord[]> {
  let query = db.selectFrom('outbox').select(columns)
  if (status) query = query.where(hasStatus(status))
  if (recipient !== undefined) query = query.where('recipient', '=', recipient)
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) => eb(refTuple('created_at', 'id'), '<', tuple(after.at, after.id)))
  }
  const rows = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
  return rows.map(toRecord)
}

function hasStatus(status: LetterStatus) {
  if (status === 'sent') return sql<boolean>`sent_at is not null`
  if (status === 'failed') return sql<boolean>`failed_at is not null`
  const isLeased = sql<boolean>`(leased_until is not null and leased_until > ${new Date()})`
  const isOpen = sql<boolean>`sent_at is null and failed_at is null`
  return status === 'sending' ? sql<boolean>`${isOpen} and ${isLeased}` : sql<boolean>`${isOpen} and not ${isLeased}`
}

/** A letter with what it asks for, and with its mail if that was made. A letter that was sent has neither. */
export type LetterWithContent = LetterRecord & { letter: Letter | undefined; mail: Mail | undefined }

export async function find(db: Db, envelope: Envelope, id: string): Promise<LetterWithContent | undefined> {
  const row = await db
    .selectFrom('outbox')
    .select([...columns, 'sealed'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (!row) return undefined
  const content = row.sealed === null ? undefined : openContent(envelope, id, row.sealed)
  return { ...toRecord(row), letter: content?.letter, mail: content?.mail }
}

/** Keeps a mail that was made for an administrator. Returns `false` if the letter has one already, or is being sent. */
export async function keepShown(
  tx: Tx,
  envelope: Envelope,
  { id, letter, mail }: { id: string; letter: Letter; mail: Mail },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('outbox')
    .set({ sealed: sealContent(envelope, id, { letter, mail }), composed_at: new Date() })
    .where('id', '=', id)
    .where('composed_at', 'is', null)
    .where(hasStatus('waiting'))
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Makes a letter due now, and gives it the time to be tried that a new one has. Returns `false` if it was sent. */
export async function retry(tx: Tx, id: string): Promise<boolean> {
  const now = Date.now()
  const { numUpdatedRows } = await tx
    .updateTable('outbox')
    .set({
      failed_at: null,
      next_attempt_at: new Date(now),
      deadline_at: new Date(now + triedMs),
      expires_at: new Date(now + triedMs + shownMs),
    })
    .where('id', '=', id)
    .where('sent_at', 'is', null)
    .executeTakeFirst()
  await sql`select pg_notify(${addedChannel}, '')`.execute(tx)
  return numUpdatedRows === 1n
}

function toRecord(row: Row<'outbox', (typeof columns)[number]>): LetterRecord {
  const isLeased = row.leased_until !== null && row.leased_until.getTime() > Date.now()
  const status = row.sent_at ? 'sent' : row.failed_at ? 'failed' : isLeased ? 'sending' : 'waiting'
  return {
    id: row.id,
    kind: row.kind as LetterKind,
    recipient: row.recipient,
    status,
    createdAt: row.created_at,
    sentAt: row.sent_at ?? undefined,
    nextAttemptAt: status === 'waiting' ? row.next_attempt_at : undefined,
    attempts: row.attempts,
    lastError: row.last_error ?? undefined,
  }
}
