import type { Envelope } from '../crypto/envelope.ts'
import type { Db } from '../database/schema.ts'
import * as audit from '../stores/operations/audit.ts'

/** The transaction of one change to an account, with everything that the change writes besides. */
export type AccountTx = audit.AuditedTx & { envelope: Envelope }

/** The origin of a change that a person makes to their own account. */
export type ByPerson = { requestId: string; address: string }

/** Runs one change to an account. The change, its audit event and its mail are stored together, or none of them is. */
export type Acting = <T>(by: ByPerson, change: (context: AccountTx) => Promise<T>) => Promise<T>

/** Creates the function that runs what people do to their own accounts. */
export function createActing({ db, envelope }: { db: Db; envelope: Envelope }): Acting {
  return (by, change) =>
    db.transaction().execute(async (tx) => {
      const events: audit.AuditEvent[] = []
      const result = await change({ tx, envelope, record: (event) => events.push({ ...by, ...event }) })
      await audit.append(tx, events)
      return result
    })
}
