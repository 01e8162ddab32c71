import type { Config } from '../config/index.ts'
import { postQuantumAlgorithms, signingAlgorithms } from '../crypto/keys.ts'
import { isNext, type Key } from '../stores/keys/keys.ts'

/** The life cycle of the keys for one purpose. Without `rotation`, one key is used forever. */
export type Rule = {
  rotation?: {
    /** The time that a key is used before the next one takes over. */
    everyMs: number
    /** The time that others may cache the set of keys. */
    rememberedMs: number
    /** The longest delay between a key's last use and the presentation of something made with it. */
    lastingMs: number
  }
}

/**
 * A step in the life of a key. `create` generates the first or the next key for a purpose; `destroy` makes a
 * key-management service erase a private key after its last use.
 */
export type Step =
  | { kind: 'create'; purpose: string }
  | { kind: 'publish' | 'activate' | 'remove' | 'destroy'; key: Key }

/** Returns the purpose of the key that a step is about. */
export function purposeOf(step: Step): string {
  return step.kind === 'create' ? step.purpose : step.key.purpose
}

/** A step, with the earliest time for it. */
export type DueStep = { step: Step; at: Date }

/**
 * The longest time until every process adopts a change. It is notified at once, or asks within five seconds if the
 * notification is lost, and clocks may differ by five seconds more.
 */
export const settlingMs = 10_000

// Verifiers tolerate clocks that differ; five minutes is the largest tolerance in common use.
const clockLeewayMs = 300_000
const longestApiTokenSeconds = 86_400 // the longest lifetime that a resource server may ask for

/** Returns the rule for each purpose of this deployment's keys. */
export function rules(config: Config): Map<string, Rule> {
  const everyMs = config.KEY_ROTATION_SECONDS * 1000
  const longestTokenSeconds = Math.max(
    config.ID_TOKEN_TTL_SECONDS,
    config.ACCESS_TOKEN_TTL_SECONDS,
    longestApiTokenSeconds,
  )
  const signing: Rule = {
    rotation: {
      everyMs,
      rememberedMs: config.JWKS_CACHE_SECONDS * 1000,
      lastingMs: longestTokenSeconds * 1000 + clockLeewayMs,
    },
  }
  const cookies: Rule = {
    rotation: {
      everyMs,
      rememberedMs: 0,
      lastingMs: Math.max(config.SESSION_TTL_SECONDS, config.INTERACTION_TTL_SECONDS) * 1000,
    },
  }
  const algorithms = config.ALLOW_ML_DSA ? [...signingAlgorithms, ...postQuantumAlgorithms] : signingAlgorithms
  return new Map([
    ...algorithms.map((alg) => [alg, signing] as const),
    ['cookie-key', cookies],
    // A client that presents an older nonce receives a new one (RFC 9449 §8).
    ['dpop-nonce', { rotation: { everyMs, rememberedMs: 0, lastingMs: 0 } }],
    // Another salt would give every person another subject at every client with pairwise subjects (OpenID Connect Core
    // §8.1).
    ['pairwise-salt', {}],
    // Stored hashes of user codes and throttled addresses are computed with keys that are derived from it.
    ['pepper', {}],
  ])
}

/**
 * Returns how long after its retirement a signing key still verifies ID tokens that come back as `id_token_hint`: as
 * long as their login can last. OpenID Connect RP-Initiated Logout 1.0 §2 accepts expired ones.
 */
export function hintsLastMs(config: Config): number {
  return Math.max(config.REFRESH_TOKEN_FAMILY_TTL_SECONDS, config.SESSION_TTL_SECONDS) * 1000
}

/** Lists the steps ahead for a purpose, each with the earliest time for it. */
export function stepsAhead(keys: readonly Key[], purpose: string, { rotation }: Rule): DueStep[] {
  const own = keys.filter((key) => key.purpose === purpose)
  const active = own.find(({ state }) => state === 'active')
  const next = own.find(isNext)
  const steps: DueStep[] = []
  const at = (from: Date | undefined, afterMs = 0) => new Date((from?.getTime() ?? 0) + afterMs)

  if (!active && next)
    steps.push({ step: { kind: 'activate', key: next }, at: at(undefined) }) // without an active key, the sooner the better
  else if (!active || (rotation && !next)) steps.push({ step: { kind: 'create', purpose }, at: at(active?.activeAt) })
  if (!rotation) return steps
  if (next?.state === 'pending') {
    steps.push({ step: { kind: 'publish', key: next }, at: at(next.createdAt, settlingMs) })
  }
  if (next && active) {
    const wanted = active.rotationRequestedAt ?? at(active.activeAt, rotation.everyMs)
    const announced = announcedAt(next, rotation)
    steps.push({ step: { kind: 'activate', key: next }, at: announced > wanted ? announced : wanted })
  }
  for (const key of own) {
    const isUsed = key.state !== 'retired' && key.state !== 'removed'
    if (key.serviceReference !== undefined && !isUsed) {
      steps.push({ step: { kind: 'destroy', key }, at: at(key.retiredAt, settlingMs) })
    }
    if (key.state !== 'retired') continue
    steps.push({ step: { kind: 'remove', key }, at: at(key.retiredAt, settlingMs + rotation.lastingMs) })
  }
  return steps
}

/** Returns the earliest time when every cached set of keys contains this key. */
export function announcedAt(next: Key, { rememberedMs }: NonNullable<Rule['rotation']>): Date {
  const publishedAtMs = next.publishedAt?.getTime() ?? next.createdAt.getTime() + settlingMs
  return new Date(publishedAtMs + rememberedMs)
}
