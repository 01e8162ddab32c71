import { keyedHash, sha256 } from '../crypto/digests.ts'
import type { Secret } from '../secret.ts'
import * as idempotencyKeys from '../stores/operations/idempotency-keys.ts'
import { perform, prepare, within } from './execute.ts'
import { type Operation, type OperationDependencies, OperationError, type Performer } from './operation.ts'

const keptMs = 86_400_000 // long enough for whoever tries again, short enough for what the answer may hold

/**
 * Runs an operation once for a key, however often it is asked for: who asks again gets the first answer again. The
 * key, the effect and the answer are one transaction, so an operation that was refused leaves the key unused. Keys
 * belong to whoever used them, and the answer is sealed, since it may hold a secret that is shown only once.
 *
 * @throws OperationError when the key came with another request before.
 */
export async function executeOnce(
  operation: Operation,
  dependencies: OperationDependencies,
  input: unknown,
  { key, by, hashKey }: { key: string; by: Performer; hashKey: Secret<Buffer> },
): Promise<{ output: unknown; isReplayed: boolean }> {
  const name = `${operation.noun} ${operation.verb}`
  // The scopes too: an answer with a secret is for a token that could have made it.
  const keyHash = sha256(JSON.stringify([by.actor, by.adminScopes, name, key]))
  // Keyed, as a password may be in the request: of a plain hash it could be guessed.
  const requestHash = keyedHash(hashKey, `idempotent request\0${JSON.stringify(sorted(input))}`)
  const identity = idempotencyKeys.identity(keyHash)
  const { envelope } = dependencies.storage
  const prepared = await prepare(operation, dependencies, input)

  return within(dependencies, async (tx, changed) => {
    const expiresAt = new Date(Date.now() + keptMs)
    const reservation = await idempotencyKeys.reserve(tx, { keyHash, requestHash, expiresAt })
    if (reservation !== 'reserved') {
      if (!reservation.requestHash.equals(requestHash)) {
        throw new OperationError('invalid', { field: 'Idempotency-Key', message: 'came with another request before' })
      }
      return { output: JSON.parse(envelope.open(reservation.responseSealed, identity)), isReplayed: true }
    }
    const output = await perform(operation, { dependencies, tx, changed, by, prepared }, input)
    await idempotencyKeys.keep(tx, keyHash, envelope.seal(JSON.stringify(output), identity))
    return { output, isReplayed: false }
  })
}

/** The same request is the same whatever the order of its members. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([name, member]) => [name, sorted(member)]))
}
