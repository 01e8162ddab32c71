import type { Envelope } from '../crypto/envelope.ts'
import type { Db, Tx } from '../database/schema.ts'
import * as audit from '../stores/operations/audit.ts'
import type { Letter, SendLetter } from '../stores/operations/letters.ts'
import * as outbox from '../stores/operations/outbox.ts'
import * as accounts from '../stores/people/accounts.ts'
import * as sessions from '../stores/protocol/sessions.ts'

/** The transaction of one change to an account, with everything that the change writes besides. */
export type AccountTx = audit.AuditedTx & { envelope: Envelope; mail: SendLetter }

/**
 * The origin of a change that a person makes to their own account. If they are signed in, the change is made only while
 * that sign-in stands: otherwise somebody who signed in as them could send one change after another, so that one is always
 * under way, and it would undo that the owner ended all sign-ins.
 */
export type ByPerson = { requestId: string; address: string; signIn?: StandingSignIn | undefined }

/** A sign-in: the session, and the epoch of the account when the request arrived. */
export type StandingSignIn = { accountId: string; epoch: number; sessionUid: string }

/** Thrown instead of a change whose sign-in has ended. */
export class SignInEnded extends Error {
  override name = 'SignInEnded'
}

/** The origin of a change that is due: no person makes it. */
export type BySystem = { actor: 'system' }

/** Runs one change to an account. The change, its audit events and its mail are stored together, or none of them is. */
export type Acting = <T>(by: ByPerson | BySystem, change: (context: AccountTx) => Promise<T>) => Promise<T>

/** Creates the function that runs what people do to their own accounts. */
export function createActing({ db, envelope }: { db: Db; envelope: Envelope }): Acting {
  return ({ signIn, ...by }: ByPerson | (BySystem & { signIn?: undefined }), change) =>
    db.transaction().execute(async (tx) => {
      if (signIn && !(await stands(tx, signIn))) throw new SignInEnded('The sign-in has ended.')
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

/** Returns whether a sign-in stands, and keeps it so until the transaction ends. */
async function stands(tx: Tx, { accountId, epoch, sessionUid }: StandingSignIn): Promise<boolean> {
  const account = await accounts.lock(tx, accountId)
  if (!account || account.isDisabled || account.epoch !== epoch) return false
  return sessions.hold(tx, { uid: sessionUid, accountId })
}
