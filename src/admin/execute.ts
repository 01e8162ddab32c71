import type { Tx } from '../database/schema.ts'
import * as audit from '../stores/operations/audit.ts'
import type { Letter } from '../stores/operations/letters.ts'
import * as outbox from '../stores/operations/outbox.ts'
import type { Operation, OperationDependencies, Performer } from './operation.ts'

/**
 * Runs an operation. Its effect, its audit event and its letters are one transaction.
 *
 * @returns the output, as its schema shows it.
 * @throws OperationError if the operation is impossible. Nothing was written then.
 */
export async function execute(
  operation: Operation,
  dependencies: OperationDependencies,
  input: unknown,
  by: Performer,
): Promise<unknown> {
  const prepared = await prepare(operation, dependencies, input)
  return within(dependencies, (tx, changed) => perform(operation, { dependencies, tx, changed, by, prepared }, input))
}

/** Does the work of an operation that precedes its transaction, where a wait would hold a connection and locks. */
export async function prepare(
  operation: Operation,
  dependencies: OperationDependencies,
  input: unknown,
): Promise<unknown> {
  return operation.prepare?.(dependencies, operation.input.parse(input))
}

/** Opens a transaction for one or more operations. At its end, this process forgets the clients that they changed. */
export async function within<T>(
  { database, storage }: OperationDependencies,
  work: (tx: Tx, changed: Set<string>) => Promise<T>,
): Promise<T> {
  const changed = new Set<string>()
  try {
    return await database.db.transaction().execute((tx) => work(tx, changed))
  } finally {
    for (const id of changed) storage.clients.forget(id)
  }
}

/** Runs an operation in an open transaction. */
export async function perform(
  operation: Operation,
  {
    dependencies,
    tx,
    changed,
    by,
    prepared,
  }: { dependencies: OperationDependencies; tx: Tx; changed: Set<string>; by: Performer; prepared?: unknown },
  input: unknown,
): Promise<unknown> {
  const events: audit.AuditEvent[] = []
  const letters: Letter[] = []
  const { via, adminScopes: _, ...who } = by
  const output = await operation.run(
    {
      ...dependencies,
      tx,
      envelope: dependencies.storage.envelope,
      by,
      record: (event) => events.push({ ...who, ...event, ...(via && { details: { ...event.details, via } }) }),
      mail: (letter) => letters.push(letter),
      changed: (id) => changed.add(id),
    },
    operation.input.parse(input),
    prepared,
  )
  const expected = operation.http.method === 'GET' ? 0 : 1
  if (events.length !== expected) {
    throw new Error(`${operation.noun} ${operation.verb} recorded ${events.length} events instead of ${expected}.`)
  }
  await audit.append(tx, events)
  await outbox.add(tx, dependencies.storage.envelope, letters)
  return operation.output.parse(output)
}
