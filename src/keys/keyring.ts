import type { JWK } from 'jose'
import { deriveKey } from '../crypto/digests.ts'
import { isSigningAlgorithm, type PrivateJwk, publicPart, type SigningAlgorithm } from '../crypto/keys.ts'
import { type Secret, secret } from '../secret.ts'
import * as keys from '../stores/keys/keys.ts'
import { hintsLastMs, rules } from './life-cycle.ts'
import { makeMissing, type RotationDependencies } from './rotation.ts'

/** A signing key as the engine needs it. */
export type SigningKey = {
  kid: string
  alg: SigningAlgorithm
  publicJwk: JWK
  state: keys.KeyState
  /** Signs with the private key. Undefined unless this key signs for its algorithm. */
  signer: { privateJwk: Secret<PrivateJwk> } | { sign(data: Buffer): Promise<Buffer> } | undefined
  /** The reason why this process cannot sign with it, if it cannot. */
  obstacle?: string | undefined
}

/** All keys of the provider, which are the same in every process. */
export type Keyring = {
  /** A text that is different for every other set of keys. */
  version: string
  /** For each algorithm, the key that signs; then those that may have signed or will sign, newest first. */
  signing: readonly SigningKey[]
  /**
   * The first key signs, all verify. After it the newest come first; keys that other processes may not have yet are
   * last.
   */
  cookieKeys: Secret<string[]>
  /** 32 bytes, the same everywhere: every process accepts the DPoP nonces of all others (RFC 9449 §8). */
  dpopNonceSecret: Secret<Buffer>
  pairwiseSalt: Secret<Buffer>
  userCodeKey: Secret<Buffer>
  throttleKey: Secret<Buffer>
  csrfKey: Secret<Buffer>
  /** Hashes the codes that are sent by mail, which are too short for a plain hash. */
  confirmationKey: Secret<Buffer>
  /** Hashes the recovery codes of accounts. */
  recoveryCodeKey: Secret<Buffer>
}

/** Loads the keys. Generates missing ones on the first start. */
export async function load(dependencies: RotationDependencies): Promise<Keyring> {
  const { db, envelope } = dependencies
  // Opened before any key is generated, because nothing may be sealed with a wrong encryption key.
  for (const { id, purpose, publicJwk, value } of await keys.open(db, envelope)) {
    if (!isSigningAlgorithm(purpose) || publicJwk || !value) continue
    // Stored by a release that did not keep the public part apart.
    await keys.setPublicJwk(db, id, publicPart(JSON.parse(value.reveal())))
  }
  await makeMissing(dependencies, new Date())
  const version = await keys.version(db)
  const all = await keys.open(db, envelope)
  const active = (purpose: string) => {
    const found = all.find((key) => key.purpose === purpose && key.state === 'active')?.value
    if (!found) throw new Error(`There is no active key for ${purpose}.`)
    return found
  }
  const bytes = (purpose: string) => secret(Buffer.from(active(purpose).reveal(), 'base64url'))
  const pepper = bytes('pepper')

  return {
    version,
    signing: signingKeys(all, dependencies),
    cookieKeys: secret(cookieKeys(all)),
    dpopNonceSecret: bytes('dpop-nonce'),
    pairwiseSalt: bytes('pairwise-salt'),
    userCodeKey: deriveKey(pepper, 'user codes'),
    throttleKey: deriveKey(pepper, 'throttle keys'),
    csrfKey: deriveKey(pepper, 'csrf tokens'),
    confirmationKey: deriveKey(pepper, 'confirmation codes'),
    recoveryCodeKey: deriveKey(pepper, 'recovery codes'),
  }
}

/** Throws if this process cannot sign with a key that is in use. A process that already runs works without it. */
export function assertUsable({ signing }: Keyring): void {
  const hindered = signing.find(({ obstacle }) => obstacle !== undefined)
  if (hindered) throw new Error(hindered.obstacle)
}

/** Lists the algorithms that tokens can be signed with now. */
export function offeredAlgorithms({ signing }: Keyring): SigningAlgorithm[] {
  return signing.filter(({ signer }) => signer).map(({ alg }) => alg)
}

/** Returns the ids of the published signing keys. The others only verify an `id_token_hint`. */
export function publishedKids({ signing }: Keyring): Set<string> {
  return new Set(signing.filter(({ state }) => state !== 'removed').map(({ kid }) => kid))
}

/** Lists the signing keys that still verify a signature, or will. */
function signingKeys(all: readonly keys.OpenedKey[], dependencies: RotationDependencies): SigningKey[] {
  const hintsFrom = Date.now() - hintsLastMs(dependencies.config)
  const allowed = rules(dependencies.config)
  const purposes = [...allowed.keys()]
  return all
    .toReversed()
    .toSorted((a, b) => purposes.indexOf(a.purpose) - purposes.indexOf(b.purpose))
    .toSorted((a, b) => Number(b.state === 'active') - Number(a.state === 'active'))
    .flatMap((key) => {
      const { id: kid, purpose: alg, state, publicJwk, retiredAt, revokedAt } = key
      if (!isSigningAlgorithm(alg) || !publicJwk || revokedAt) return []
      if (state === 'removed' && (retiredAt?.getTime() ?? 0) < hintsFrom) return []
      const isUsed = state === 'active' && allowed.has(alg)
      return [{ kid, alg, publicJwk, state, ...(isUsed ? signerOf(key, dependencies) : { signer: undefined }) }]
    })
}

function signerOf(
  { id, purpose, value, serviceReference }: keys.OpenedKey,
  { keyService }: RotationDependencies,
): Pick<SigningKey, 'signer' | 'obstacle'> {
  if (value) return { signer: { privateJwk: secret(JSON.parse(value.reveal())) } }
  if (keyService && serviceReference !== undefined) {
    return { signer: { sign: (data) => keyService.sign(serviceReference, purpose as SigningAlgorithm, data) } }
  }
  const obstacle = `The ${purpose} key ${id} is in a key-management service, and none is configured. Set PKCS11_MODULE again.`
  return { signer: { sign: () => Promise.reject(new Error(obstacle)) }, obstacle }
}

function cookieKeys(all: readonly keys.OpenedKey[]): string[] {
  const own = all.filter(({ purpose, state }) => purpose === 'cookie-key' && state !== 'removed')
  const inOrder: keys.KeyState[] = ['active', 'retired', 'published', 'pending']
  return own
    .toReversed()
    .toSorted((a, b) => inOrder.indexOf(a.state) - inOrder.indexOf(b.state))
    .flatMap(({ value }) => (value ? [value.reveal()] : []))
}
