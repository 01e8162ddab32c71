import { randomBytes } from 'node:crypto'
import { deriveKey } from '../crypto/digests.ts'
import type { Envelope } from '../crypto/envelope.ts'
import { generate, type PrivateJwk, signingAlgorithms } from '../crypto/keys.ts'
import type { Db } from '../database/schema.ts'
import { type Secret, secret } from '../secret.ts'
import * as secrets from '../stores/secrets.ts'

/** All keys of the provider, the same in every process. */
export type Keyring = {
  signing: Secret<PrivateJwk[]>
  cookieKeys: Secret<string[]>
  /** 32 bytes; DPoP nonces of one process are good at every other (RFC 9449 §8). */
  dpopNonceSecret: Secret<Buffer>
  pairwiseSalt: Secret<Buffer>
  userCodeKey: Secret<Buffer>
  throttleKey: Secret<Buffer>
  csrfKey: Secret<Buffer>
}

const fresh = () => randomBytes(32).toString('base64url')

/** Loads the keys, making what is missing on the first start. */
export async function load(db: Db, envelope: Envelope): Promise<Keyring> {
  const bytes = async (name: secrets.SharedSecretName) =>
    secret(Buffer.from(await secrets.ensure(db, envelope, name, fresh), 'base64url'))
  const pepper = await bytes('pepper')

  let signing = await secrets.signingKeys(db, envelope)
  const missing = signingAlgorithms.filter((alg) => !signing.some((key) => key.alg === alg))
  if (missing.length > 0) {
    for (const alg of missing) await secrets.addFirstSigningKey(db, envelope, await generate(alg))
    signing = await secrets.signingKeys(db, envelope)
  }

  return {
    signing: secret(signing),
    cookieKeys: secret([await secrets.ensure(db, envelope, 'cookie-key', fresh)]),
    dpopNonceSecret: await bytes('dpop-nonce'),
    pairwiseSalt: await bytes('pairwise-salt'),
    userCodeKey: deriveKey(pepper, 'user codes'),
    throttleKey: deriveKey(pepper, 'throttle keys'),
    csrfKey: deriveKey(pepper, 'csrf tokens'),
  }
}
