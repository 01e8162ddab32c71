import type { PrivateJwk } from '../../src/crypto/keys.ts'
import type { Keyring } from '../../src/keys/keyring.ts'

/** The private keys that a server signs with, one for each algorithm. */
export function privateJwks({ signing }: Keyring): PrivateJwk[] {
  return signing.flatMap(({ signer }) => (signer && 'privateJwk' in signer ? [signer.privateJwk.reveal()] : []))
}

/** The private key that a server signs with by an algorithm. */
export function privateJwk(keyring: Keyring, alg: string): PrivateJwk {
  const found = privateJwks(keyring).find((key) => key.alg === alg)
  if (!found) throw new Error(`There is no private ${alg} key.`)
  return found
}
