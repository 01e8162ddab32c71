import type { Envelope } from '../crypto/envelope.ts'
import type { Db } from '../database/schema.ts'
import * as audit from '../stores/operations/audit.ts'
import type { Letter, SendLetter } from '../stores/operations/letters.ts'
import * as outbox from '../stores/operations/outbox.ts'

/** A transaction that changes an account, with the functions that add an audit event and a letter to it. */
export type AccountTx = audit.AuditedTx & { mail: SendLetter }

/** The performer of a change: nothing but the request, if it is the account itself. */
export type AccountPerformer = Pick<audit.AuditEvent, 'actor' | 'address' | 'requestId'>

/** Performs a change of an account. The change, its audit events and its letters are one transaction. */
export function within<T>(
  { db, envelope }: { db: Db; envelope: Envelope },
  by: AccountPerformer,
  work: (tx: AccountTx) => Promise<T>,
): Promise<T> {
  return db.transaction().execute(async (tx) => {
    const events: audit.AuditEvent[] = []
    const letters: Letter[] = []
    const outcome = await work({
      tx,
      record: (event) => events.push({ ...by, ...event }),
      mail: (letter) => letters.push(letter),
    })
    await audit.append(tx, events)
    await outbox.add(tx, envelope, letters)
    return outcome
  })
}
