import { createPublicKey, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import { ExternalSigningKey } from 'oidc-provider'

/**
 * Creates a signing key whose private part the engine does not have. Without `sign` it only verifies: an attempt to
 * sign with it fails.
 */
export function externalKey({
  kid,
  alg,
  publicJwk,
  sign,
}: {
  kid: string
  alg: string
  publicJwk: JWK
  sign?: ((data: Buffer) => Promise<Buffer>) | undefined
}): ExternalSigningKey {
  return new (class extends ExternalSigningKey {
    readonly #publicKey = createPublicKey({ key: publicJwk, format: 'jwk' })

    override get kid(): string {
      return kid
    }

    override get alg(): string {
      return alg
    }

    override keyObject(): KeyObject {
      return this.#publicKey
    }

    override async sign(data: Uint8Array): Promise<Uint8Array> {
      if (!sign) throw new Error(`The ${alg} key ${kid} does not sign.`)
      return sign(Buffer.from(data))
    }
  })()
}
