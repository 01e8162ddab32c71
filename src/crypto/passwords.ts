import argon2 from 'argon2'
import type { PasswordHash } from './password-hashes/index.ts'
import * as passwordHashes from './password-hashes/index.ts'
import { createTurns } from './turns.ts'

/** The work that one hash takes: memory in KiB, and how often it is passed over. */
export type PasswordCost = { memoryCost: number; timeCost: number }

// OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, two passes, one lane.
const recommended: PasswordCost = { memoryCost: 19_456, timeCost: 2 }

// Of libuv's four threads, one is left for signing and DNS during a login storm.
const concurrency = { signingIn: 2, administration: 1 }
const longestQueue = 64 // at some 25 ms each this is under a second of waiting
const longestForSuspects = 16 // so that throttled networks cannot fill the queue

/**
 * The hash of 32 random bytes that nobody kept. An attempt is verified against it if no account has a hash, so that every
 * refusal takes the same time. It is not secret: nobody knows a matching password, and a match would not sign anybody in.
 */
export const decoyHash =
  '$argon2id$v=19$m=19456,p=1,t=2$1aACgO8BOln1I2lpRO8fBg$3mjcu9JHM0UTXVG/xHbgQftqHN90WLTNscuJmdMAiBc'

/** Thrown when more people are signing in than passwords can be checked. A retry soon after may succeed. */
export class TooBusy extends Error {
  override name = 'TooBusy'
}

export type Verified = {
  matches: boolean
  /** A hash of the same password to store instead, if the old one is of another kind or has outdated parameters. */
  renewed: string | undefined
}

export type Passwords = {
  /**
   * Hashes a password with argon2id into PHC string form, for administrators: they do not wait behind visitors. Throws
   * TooBusy.
   */
  hash(password: string): Promise<string>
  /** Hashes the password that a visitor chooses. It waits in the queue of those who sign in. Throws TooBusy. */
  hashForVisitor(password: string): Promise<string>
  /**
   * Checks a password against a hash, for visitors. A decoy matches nothing. Throws TooBusy when the queue is full, earlier
   * for suspects.
   */
  verify(hashed: string, password: string, options?: { isSuspect?: boolean; isDecoy?: boolean }): Promise<Verified>
}

/**
 * Returns the same form of a password however it is typed (NIST SP 800-63B-4 §3.1.1.2, RFC 8265 §4.2.2): devices differ
 * in how they compose an accented letter, and in the space that they insert.
 */
export function preparedPassword(password: string): string {
  return password.replace(/\p{Zs}/gu, ' ').normalize('NFC')
}

/** Returns another form that an older hash may be of: the password as typed, otherwise decomposed. */
function formerForm(password: string): string | undefined {
  return [password, password.normalize('NFD')].find((form) => form !== preparedPassword(password))
}

/** Returns whether a hash is one that `hash` would make today. */
function isCurrent({ kind }: PasswordHash, hashed: string, parameters: PasswordCost): boolean {
  return kind === 'argon2' && hashed.startsWith('$argon2id$') && !argon2.needsRehash(hashed, parameters)
}

/**
 * Creates password hashing with bounded queues: in a login storm sign-ins wait, then are refused, while tokens are
 * issued. Tests that are not about passwords have an insecure cost, because hashing would be most of their work.
 */
export function createPasswords({ insecureCost }: { insecureCost?: PasswordCost } = {}): Passwords {
  const parameters = { type: argon2.argon2id, parallelism: 1, ...(insecureCost ?? recommended) } as const
  const refusal = () => new TooBusy('Too many passwords are being checked.')
  const inTurn = createTurns({ atOnce: concurrency.signingIn, longestQueue, refusal })
  const inOwnTurn = createTurns({ atOnce: concurrency.administration, longestQueue, refusal })

  const standIn = passwordHashes.read(decoyHash) // for a decoy that cannot be read
  if ('problem' in standIn) throw new Error(`The decoy ${standIn.problem}.`)

  return {
    hash: (password) => inOwnTurn(() => argon2.hash(preparedPassword(password), parameters)),
    hashForVisitor: (password) => inTurn(() => argon2.hash(preparedPassword(password), parameters), longestForSuspects),
    // Renewed in the same turn: otherwise it would wait a second time, and a full queue would refuse a correct
    // password.
    verify: (hashed, password, { isSuspect = false, isDecoy = false } = {}) =>
      inTurn(
        async () => {
          const found = passwordHashes.read(hashed)
          if ('problem' in found && !isDecoy) throw new Error(`A stored password hash ${found.problem}.`)
          const stored = 'problem' in found ? standIn : found
          const form = preparedPassword(password)
          const isKnown = await stored.matches(form)
          const former = formerForm(password)
          const isKnownAsFormer = !isKnown && former !== undefined && (await stored.matches(former))
          const matches = isKnown || isKnownAsFormer
          if (isDecoy) return { matches: false, renewed: undefined } // not renewed, which would take more time
          const isOutdated = isKnownAsFormer || (isKnown && !isCurrent(stored, hashed, parameters))
          return { matches, renewed: isOutdated ? await argon2.hash(form, parameters) : undefined }
        },
        isSuspect ? longestForSuspects : longestQueue,
      ),
  }
}
