import argon2 from 'argon2'
import { createTurns } from './turns.ts'

// OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, two passes, one lane.
const parameters = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

// Of libuv's four threads, one is left for signing and DNS during a login storm.
const concurrency = { signingIn: 2, administration: 1 }
const longestQueue = 64 // at some 25 ms each this is under a second of waiting
const longestForSuspects = 16 // so that whoever is throttled cannot fill the queue

/**
 * The hash of 32 random bytes that nobody kept. It is verified against where there is no hash to verify, so that every
 * refusal costs the same. It is no secret: no password is known to match it, and none would sign anybody in.
 */
export const decoyHash =
  '$argon2id$v=19$m=19456,p=1,t=2$1aACgO8BOln1I2lpRO8fBg$3mjcu9JHM0UTXVG/xHbgQftqHN90WLTNscuJmdMAiBc'

/** More people are signing in at this moment than passwords can be checked. Try again shortly. */
export class TooBusy extends Error {
  override name = 'TooBusy'
}

export type Verified = {
  matches: boolean
  /** Another hash of the same password, to store in place of one that was made with other parameters than today's. */
  renewed: string | undefined
}

export type Passwords = {
  /** An argon2id hash in PHC string form, for administrators: they do not wait behind visitors. Throws TooBusy. */
  hash(password: string): Promise<string>
  /** Whether `password` belongs to `hashed`, for visitors. Throws TooBusy when the queue is full, for suspects earlier. */
  verify(hashed: string, password: string, options?: { isSuspect?: boolean }): Promise<Verified>
}

/**
 * The one form of a password that all ways of typing it have (NIST SP 800-63B-4 §3.1.1.2, RFC 8265 §4.2.2): devices differ in
 * how they compose an accented letter, and in which space they put in.
 */
function prepared(password: string): string {
  return password.replace(/\p{Zs}/gu, ' ').normalize('NFC')
}

/** The form that a password of before may have been hashed in: as it is typed now, or else decomposed. */
function formerForm(password: string): string | undefined {
  return [password, password.normalize('NFD')].find((form) => form !== prepared(password))
}

/** Password hashing with bounded queues: a login storm waits, and then is told to, while tokens go on being issued. */
export function createPasswords(): Passwords {
  const refusal = () => new TooBusy('Too many passwords are being checked.')
  const inTurn = createTurns({ atOnce: concurrency.signingIn, longestQueue, refusal })
  const inOwnTurn = createTurns({ atOnce: concurrency.administration, longestQueue, refusal })

  return {
    hash: (password) => inOwnTurn(() => argon2.hash(prepared(password), parameters)),
    // Renewed in the same turn: it would otherwise wait a second time, and a full queue would refuse a right password.
    verify: (hashed, password, { isSuspect = false } = {}) =>
      inTurn(
        async () => {
          const form = prepared(password)
          const isKnown = await argon2.verify(hashed, form)
          const former = formerForm(password)
          const isKnownAsFormer = !isKnown && former !== undefined && (await argon2.verify(hashed, former))
          const matches = isKnown || isKnownAsFormer
          const isOutdated = isKnownAsFormer || (isKnown && argon2.needsRehash(hashed, parameters))
          return { matches, renewed: isOutdated ? await argon2.hash(form, parameters) : undefined }
        },
        isSuspect ? longestForSuspects : longestQueue,
      ),
  }
}
