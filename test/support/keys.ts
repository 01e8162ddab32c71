import { vi } from 'vitest'
import type { PrivateJwk } from '../../src/crypto/keys.ts'
import type { Keyring } from '../../src/keys/keyring.ts'
import { purposeOf } from '../../src/keys/life-cycle.ts'
import { ahead, takeStep } from '../../src/keys/rotation.ts'
import * as keys from '../../src/stores/keys/keys.ts'
import type { TestPostern } from './postern.ts'

/** Returns the private keys that a server signs with, one for each algorithm. */
export function privateJwks({ signing }: Keyring): PrivateJwk[] {
  return signing.flatMap(({ signer }) => (signer && 'privateJwk' in signer ? [signer.privateJwk.reveal()] : []))
}

/** Returns the private key that a server signs with by an algorithm. */
export function privateJwk(keyring: Keyring, alg: string): PrivateJwk {
  const found = privateJwks(keyring).find((key) => key.alg === alg)
  if (!found) throw new Error(`There is no private ${alg} key.`)
  return found
}

/** Returns the kid that a server signs with by an algorithm. */
export function signingKid({ server }: TestPostern, alg: string): string {
  return String(server.postern.keyring.signing.find((key) => key.alg === alg && key.signer)?.kid)
}

/**
 * Takes every step in the life of keys that is due until a moment, each at its time, and waits until the server uses
 * the result. The moments belong to the keys alone; the clock of the server does not change.
 */
export async function rotateUntil({ server }: TestPostern, moment: Date): Promise<void> {
  const { keys: dependencies, database } = server.postern
  for (;;) {
    const [next] = ahead(await keys.list(database.db), dependencies.config)
    if (!next || next.at > moment) break
    await takeStep(dependencies, purposeOf(next.step), () => next.at)
  }
  const version = await keys.version(database.db)
  await vi.waitFor(
    () => {
      if (server.postern.keyring.version !== version) throw new Error('the server has not heard of the new keys')
    },
    { timeout: 120_000, interval: 20 },
  )
}

/** Moves the keys on until the next key for a purpose takes over, and by this much further. */
export async function rotateOnce(postern: TestPostern, purpose: string, furtherMs = 0): Promise<void> {
  const { keys: dependencies, database } = postern.server.postern
  await rotateUntil(postern, new Date(Date.now() + 1_000)) // right after the start there is no next key
  const takeover = ahead(await keys.list(database.db), dependencies.config).find(
    ({ step }) => step.kind === 'activate' && step.key.purpose === purpose,
  )
  if (!takeover) throw new Error(`There is no next key for ${purpose}.`)
  await rotateUntil(postern, new Date(takeover.at.getTime() + furtherMs))
}
