import type { Config } from '../config/index.ts'
import { postQuantumAlgorithms, signingAlgorithms } from '../crypto/keys.ts'
import { isNext, type Key } from '../stores/keys/keys.ts'

/** How keys for one purpose go through their life. Without `rotation` there is one key for good. */
export type Rule = {
  rotation?: {
    /** How long a key is used before the next one takes over. */
    everyMs: number
    /** How long others may remember the set of keys before they ask for it again. */
    rememberedMs: number
    /** How long after its last use something made with a key can still be presented. */
    lastingMs: number
  }
}

/**
 * What can be done to a key. `create` makes the first or the next one for a purpose; `destroy` has a key-management
 * service erase a private key that was used for the last time.
 */
export type Step =
  | { kind: 'create'; purpose: string }
  | { kind: 'publish' | 'activate' | 'remove' | 'destroy'; key: Key }

/** What the keys are for that a step is about. */
export function purposeOf(step: Step): string {
  return step.kind === 'create' ? step.purpose : step.key.purpose
}

/** A step, and when it is to be taken. */
export type DueStep = { step: Step; at: Date }

/**
 * In this time every process has taken over a change: it hears of it at once, or asks within five seconds if the
 * notification is lost, and clocks may differ by as much again.
 */
export const settlingMs = 10_000

// Verifiers allow for clocks that differ; five minutes is the most that is usual.
const clockLeewayMs = 300_000
const longestApiTokenSeconds = 86_400 // what a resource server may ask for at most

/** Each purpose of this deployment's keys, with its rule. */
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
    // A client that comes with a nonce from before is given a new one (RFC 9449 §8).
    ['dpop-nonce', { rotation: { everyMs, rememberedMs: 0, lastingMs: 0 } }],
    // With another salt everybody would be somebody else to every client with pairwise subjects (OpenID Connect Core §8.1).
    ['pairwise-salt', {}],
    // Stored hashes of user codes and throttled addresses are made with what is derived from it.
    ['pepper', {}],
  ])
}

/**
 * How long after it was retired a signing key still verifies ID tokens that come back as `id_token_hint` (OpenID
 * Connect RP-Initiated Logout 1.0 §2 has expired ones accepted): as long as the login they are from can last.
 */
export function hintsLastMs(config: Config): number {
  return Math.max(config.REFRESH_TOKEN_FAMILY_TTL_SECONDS, config.SESSION_TTL_SECONDS) * 1000
}

/** The steps before the keys for a purpose, each with the moment from which it may be taken. */
export function stepsAhead(keys: readonly Key[], purpose: string, { rotation }: Rule): DueStep[] {
  const own = keys.filter((key) => key.purpose === purpose)
  const active = own.find(({ state }) => state === 'active')
  const next = own.find(isNext)
  const steps: DueStep[] = []
  const at = (from: Date | undefined, afterMs = 0) => new Date((from?.getTime() ?? 0) + afterMs)

  if (!active && next)
    steps.push({ step: { kind: 'activate', key: next }, at: at(undefined) }) // better soon than none
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

/** When everybody who remembers the keys has this one among them. */
export function announcedAt(next: Key, { rememberedMs }: NonNullable<Rule['rotation']>): Date {
  const publishedAtMs = next.publishedAt?.getTime() ?? next.createdAt.getTime() + settlingMs
  return new Date(publishedAtMs + rememberedMs)
}
