import type { Envelope } from '../crypto/envelope.ts'
import type { Db } from '../database/schema.ts'
import * as audit from '../stores/operations/audit.ts'
import type { Letter, SendLetter } from '../stores/operations/letters.ts'
import * as outbox from '../stores/operations/outbox.ts'

/** The transaction of one change to an account, with everything that the change writes besides. */
export type AccountTx = audit.AuditedTx & { envelope: Envelope; mail: SendLetter }

/** The origin of a change that a person makes to their own account. */
export type ByPerson = { requestId: string; address: string }

/** The origin of a change that is due: no person makes it. */
export type BySystem = { actor: 'system' }

/** Runs one change to an account. The change, its audit events and its mail are stored together, or none of them is. */
export type Acting = <T>(by: ByPerson | BySystem, change: (context: AccountTx) => Promise<T>) => Promise<T>

/** Creates the function that runs what people do to their own accounts. */
export function createActing({ db, envelope }: { db: Db; envelope: Envelope }): Acting {
  return (by, change) =>
    db.transaction().execute(async (tx) => {
      const events: audit.AuditEvent[] = []
      const letters: Letter[] = []
      const result = await change({
        tx,
        envelope,
        record: (event) => events.push({ ...by, ...event }),
        mail: (letter) => letters.push(letter),
      })
      await outbox.add(tx, envelope, letters)
      await audit.append(tx, events)
      return result
    })
}
