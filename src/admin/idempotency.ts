import { keyedHash, sha256 } from '../crypto/digests.ts'
import type { Secret } from '../secret.ts'
import * as idempotencyKeys from '../stores/operations/idempotency-keys.ts'
import { perform, prepare, within } from './execute.ts'
import { type Operation, type OperationDependencies, OperationError, type Performer } from './operation.ts'

const keptMs = 86_400_000 // long enough for every retry, and short enough because an answer may contain a secret

/**
 * Runs an operation once for a key. A repeated request with the key receives the first answer again. The key, the effect
 * and the answer are stored in one transaction, so a rejected operation leaves the key unused. Each actor has keys of its
 * own. The stored answer is sealed because it may contain a secret, which is shown only once.
 *
 * @throws OperationError if the key came with a different request earlier.
 */
export async function executeOnce(
  operation: Operation,
  dependencies: OperationDependencies,
  input: unknown,
  { key, by, hashKey }: { key: string; by: Performer; hashKey: Secret<Buffer> },
): Promise<{ output: unknown; isReplayed: boolean }> {
  const name = `${operation.noun} ${operation.verb}`
  // The scopes are included: only a token that could have caused an answer with a secret may read it.
  const keyHash = sha256(JSON.stringify([by.actor, by.adminScopes, name, key]))
  // The hash is keyed because the request may contain a password, which could be guessed from a plain hash.
  const requestHash = keyedHash(hashKey, `idempotent request\0${JSON.stringify(sorted(input))}`)
  const identity = idempotencyKeys.identity(keyHash)
  const { envelope } = dependencies.storage
  const prepared = await prepare(operation, dependencies, input)

  return within(dependencies, async (tx, changed) => {
    const expiresAt = new Date(Date.now() + keptMs)
    const reservation = await idempotencyKeys.reserve(tx, { keyHash, requestHash, expiresAt })
    if (reservation !== 'reserved') {
      if (!reservation.requestHash.equals(requestHash)) {
        throw new OperationError('invalid', {
          field: 'Idempotency-Key',
          message: 'came with a different request earlier',
        })
      }
      return { output: JSON.parse(envelope.open(reservation.responseSealed, identity)), isReplayed: true }
    }
    const output = await perform(operation, { dependencies, tx, changed, by, prepared }, input)
    await idempotencyKeys.keep(tx, keyHash, envelope.seal(JSON.stringify(output), identity))
    return { output, isReplayed: false }
  })
}

/** Sorts the members of all objects in a value: their order makes no difference to a request. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([name, member]) => [name, sorted(member)]))
}
