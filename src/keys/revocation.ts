import type { Tx } from '../database/schema.ts'
import * as keys from '../stores/keys/keys.ts'
import { rules } from './life-cycle.ts'
import { make } from './making.ts'
import type { RotationDependencies } from './rotation.ts'

/**
 * Revokes a key at once: it no longer signs or verifies, and is no longer published. If it was the active key for its
 * purpose, the next one takes over in the same transaction.
 *
 * @returns the key that takes over, if one had to.
 */
export async function revoke(
  tx: Tx,
  { config, envelope }: Pick<RotationDependencies, 'config' | 'envelope'>,
  { key, at }: { key: keys.Key; at: Date },
): Promise<keys.Key | undefined> {
  const { purpose } = key
  await keys.remove(tx, key.id, { at, isRevoked: true })
  if (key.state !== 'active') return undefined
  const next = (await keys.list(tx)).find((one) => one.purpose === purpose && keys.isNext(one))
  if (!next && !rules(config).has(purpose)) return undefined // a purpose that is no longer used needs no other key
  if (next) await keys.activate(tx, next.id, at)
  // Not in a service, because its outage must not prevent the revocation of a key.
  else await keys.add(tx, envelope, await make(purpose, undefined), { state: 'active', at })
  return (await keys.list(tx)).find((one) => one.purpose === purpose && one.state === 'active')
}
