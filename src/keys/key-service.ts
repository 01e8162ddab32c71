import type { JWK } from 'jose'
import type { SigningAlgorithm } from '../crypto/keys.ts'

/** A service that stores private keys where Postern cannot read them, and signs with them. */
export type KeyService = {
  /** The algorithms that it can sign with. */
  algorithms: readonly SigningAlgorithm[]
  /**
   * Generates a key pair that never leaves the service. `id` is the `kid`: an administrator finds the key there by it.
   */
  generate(alg: SigningAlgorithm, id: string): Promise<{ reference: string; publicJwk: JWK }>
  /** Signs in the format of JWS (RFC 7518 §3): for ES256, that is r followed by s. */
  sign(reference: string, alg: SigningAlgorithm, data: Buffer): Promise<Buffer>
  /** Destroys the private key irrevocably. Succeeds if it is already gone. */
  destroy(reference: string): Promise<void>
  close(): Promise<void>
}
