import type { JWK } from 'jose'
import type { SigningAlgorithm } from '../crypto/keys.ts'

/** Keeps private keys where Postern cannot read them, and signs with them. */
export type KeyService = {
  /** Which algorithms it can sign with. */
  algorithms: readonly SigningAlgorithm[]
  /** Makes a key pair that never leaves the service. `id` is the `kid`, by which an operator finds it there. */
  generate(alg: SigningAlgorithm, id: string): Promise<{ reference: string; publicJwk: JWK }>
  /** A signature as JWS has it (RFC 7518 §3): for ES256 that is r and s in a row. */
  sign(reference: string, alg: SigningAlgorithm, data: Buffer): Promise<Buffer>
  /** Destroys the private key for good. Succeeds when it is gone already. */
  destroy(reference: string): Promise<void>
  close(): Promise<void>
}
