import { sql, type UpdateObject } from 'kysely'
import { randomId } from '../../crypto/digests.ts'
import type { Envelope } from '../../crypto/envelope.ts'
import type { Db, Schema, Tx } from '../../database/schema.ts'
import type { Letter, LetterKind, Mail } from './letters.ts'

/** The channel that notifies the delivery of new letters. */
export const addedChannel = 'outbox_added'

/** How long a letter that cannot be delivered is tried again (RFC 5321 §4.5.4.1 asks for at least 4 to 5 days). */
export const triedMs = 5 * 86_400_000

/** How long an administrator sees what became of a letter. */
export const shownMs = 3 * 86_400_000

const leaseMs = 60_000 // after a crash, another process takes the letter that late; a sender renews it in time

/** A letter with the right to send it, which ends with its lease unless it is renewed. */
export type Claim = {
  id: string
  kind: LetterKind
  letter: Letter
  /** A later claim ends the right of this one. */
  number: number
  /** How often sending it failed. */
  attempts: number
  deadlineAt: Date
  /** The mail of an earlier attempt that the recipient may have received. It must be sent again unchanged. */
  unsettled: ComposedMail | undefined
}

/** A mail, and when it was made. */
export type ComposedMail = { mail: Mail; composedAt: Date }

/** The identity that the content of a letter is sealed for. */
export const identity = (id: string): string => `outbox.sealed:${id}`

/** The sealed content of a letter. */
export type Content = { letter: Letter; mail?: Mail }

/** Opens the content of a letter. */
export const openContent = (envelope: Envelope, id: string, sealed: string): Content =>
  JSON.parse(envelope.open(sealed, identity(id)))

/** Seals the content of a letter. */
export const sealContent = (envelope: Envelope, id: string, content: Content): string =>
  envelope.seal(JSON.stringify(content), identity(id))

/** Adds letters, which are sent once the transaction is committed. It does the same work for every letter. */
export async function add(tx: Tx, envelope: Envelope, letters: readonly Letter[]): Promise<string[]> {
  if (letters.length === 0) return []
  const now = Date.now()
  const rows = letters.map((letter) => {
    const id = randomId(16)
    return {
      id,
      kind: letter.kind,
      recipient: letter.to,
      sealed: sealContent(envelope, id, { letter }),
      created_at: new Date(now),
      next_attempt_at: new Date(now),
      deadline_at: new Date(now + triedMs),
      expires_at: new Date(now + triedMs + shownMs),
    }
  })
  await tx.insertInto('outbox').values(rows).execute()
  await sql`select pg_notify(${addedChannel}, '')`.execute(tx)
  return rows.map(({ id }) => id)
}

const isDue = (now: Date) => sql<boolean>`sent_at is null and failed_at is null and next_attempt_at <= ${now}
  and expires_at > ${now} and (leased_until is null or leased_until <= ${now})`

/** Which letters count: all of them, or only those that no mail has been made of yet. */
export type Selection = { uncomposed: boolean }

/** Counts the letters that are due, up to `most`. */
export async function countDue(db: Db, most: number, { uncomposed }: Selection): Promise<number> {
  const due = db.selectFrom('outbox').select('id').where(isDue(new Date())).limit(most)
  return (await (uncomposed ? due.where('composed_at', 'is', null) : due).execute()).length
}

/**
 * Claims the letter that has been due for the longest time. No other process gets it before its lease ends.
 */
export async function claim(
  db: Db,
  envelope: Envelope,
  { uncomposed }: Selection = { uncomposed: false },
): Promise<Claim | undefined> {
  const now = new Date()
  const row = await db
    .updateTable('outbox')
    .set({ claims: sql`claims + 1`, leased_until: new Date(now.getTime() + leaseMs) })
    .where('id', '=', (eb) => {
      const due = eb.selectFrom('outbox').select('id').where(isDue(now))
      return (uncomposed ? due.where('composed_at', 'is', null) : due)
        .orderBy('next_attempt_at')
        .limit(1)
        .forUpdate()
        .skipLocked()
    })
    .returning(['id', 'kind', 'sealed', 'claims', 'attempts', 'composed_at', 'deadline_at', 'sending_at'])
    .executeTakeFirst()
  if (!row?.sealed) return undefined
  const { letter, mail } = openContent(envelope, row.id, row.sealed)
  return {
    id: row.id,
    kind: row.kind as LetterKind,
    letter,
    number: row.claims,
    attempts: row.attempts,
    deadlineAt: row.deadline_at,
    unsettled: row.sending_at && row.composed_at && mail ? { mail, composedAt: row.composed_at } : undefined,
  }
}

type Change = UpdateObject<Schema, 'outbox'>

/** Changes a letter, unless there is a later claim. Returns whether it did. */
async function change(db: Db, { id, number }: Claim, values: Change): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('outbox')
    .set(values)
    .where('id', '=', id)
    .where('claims', '=', number)
    .where('sent_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Extends the lease of a letter that is being sent. Returns `false` if there is a later claim. */
export function renew(db: Db, claimed: Claim): Promise<boolean> {
  return change(db, claimed, { leased_until: new Date(Date.now() + leaseMs) })
}

/** Keeps the mail that was made of a letter. `undefined` if there is a later claim. */
export async function keepMail(
  tx: Tx,
  envelope: Envelope,
  claimed: Claim,
  mail: Mail,
): Promise<ComposedMail | undefined> {
  const composedAt = new Date()
  const sealed = sealContent(envelope, claimed.id, { letter: claimed.letter, mail })
  return (await change(tx, claimed, { sealed, composed_at: composedAt })) ? { mail, composedAt } : undefined
}

/**
 * Notes that the server may have the mail from now on. Returns `false` if there is a later claim: the mail must then
 * not be sent.
 */
export function noteSending(db: Db, claimed: Claim): Promise<boolean> {
  return change(db, claimed, { sending_at: new Date() })
}

/** Notes that the server accepted the mail, and forgets the content. */
export async function noteSent(db: Db, claimed: Claim): Promise<void> {
  const now = new Date()
  await change(db, claimed, {
    attempts: sql`attempts + 1`,
    sent_at: now,
    sealed: null,
    leased_until: null,
    last_error: null,
    expires_at: new Date(now.getTime() + shownMs),
  })
}

/** Ends a claim without an attempt. */
export async function release(db: Db, claimed: Claim): Promise<void> {
  await change(db, claimed, { leased_until: null })
}

/**
 * Ends an attempt that failed. The next one is at `nextAttemptAt`.
 *
 * @param options.isUnsettled - Whether the server may have accepted the mail. Otherwise the next attempt makes another.
 */
export async function defer(
  db: Db,
  claimed: Claim,
  { reason, nextAttemptAt, isUnsettled }: { reason: string; nextAttemptAt: Date; isUnsettled: boolean },
): Promise<void> {
  await change(db, claimed, {
    attempts: sql`attempts + 1`,
    last_error: reason,
    next_attempt_at: nextAttemptAt,
    leased_until: null,
    ...(!isUnsettled && { sending_at: null }),
  })
}

/** Ends all attempts. The letter stays visible until it expires. */
export async function giveUp(db: Db, claimed: Claim, reason: string): Promise<void> {
  await change(db, claimed, {
    attempts: sql`attempts + 1`,
    last_error: reason,
    failed_at: new Date(),
    leased_until: null,
  })
}

/** Removes a letter that nobody has to receive. */
export async function drop(db: Db, { id, number }: Claim): Promise<void> {
  await db.deleteFrom('outbox').where('id', '=', id).where('claims', '=', number).execute()
}

/** Notes at every letter that is due why none is sent. It counts as no attempt. */
export async function noteOutage(db: Db, reason: string): Promise<void> {
  await db
    .updateTable('outbox')
    .set({ last_error: reason })
    .where(isDue(new Date()))
    .where('last_error', 'is distinct from', reason)
    .execute()
}
