import { randomBytes } from 'node:crypto'
import { generate, isSigningAlgorithm, publicPart } from '../crypto/keys.ts'
import { secret } from '../secret.ts'
import type { NewKey } from '../stores/keys/keys.ts'
import type { KeyService } from './key-service.ts'

/** Generates a key for a purpose, in the key-management service if one is configured and knows the algorithm. */
export async function make(purpose: string, service: KeyService | undefined): Promise<NewKey> {
  const id = randomBytes(16).toString('hex') // hexadecimal: a command line takes a leading `-` for an option
  if (!isSigningAlgorithm(purpose)) return { id, purpose, value: secret(randomBytes(32).toString('base64url')) }
  if (service?.algorithms.includes(purpose)) {
    const { reference, publicJwk } = await service.generate(purpose, id)
    return {
      id,
      purpose,
      publicJwk: { ...publicJwk, kid: id, alg: purpose, use: 'sig' },
      serviceReference: reference,
    }
  }
  const jwk = { ...(await generate(purpose)), kid: id }
  return { id, purpose, value: secret(JSON.stringify(jwk)), publicJwk: publicPart(jwk) }
}
