import argon2 from 'argon2'
import { createTurns } from './turns.ts'

// OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, two passes, one lane.
const parameters = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

const concurrency = 2 // of libuv's four threads, so that signing and DNS keep two during a login storm
const longestQueue = 64 // at some 25 ms each this is under a second of waiting

/** More people are signing in at this moment than passwords can be checked. Try again shortly. */
export class TooBusy extends Error {
  override name = 'TooBusy'
}

export type Passwords = {
  /** An argon2id hash in PHC string form. Throws TooBusy when the queue is full. */
  hash(password: string): Promise<string>
  /** Whether `password` belongs to `hashed`. Throws TooBusy when the queue is full. */
  verify(hashed: string, password: string): Promise<boolean>
  /** Whether a hash was made with other parameters than today's, and should be replaced at the next sign-in. */
  isOutdated(hashed: string): boolean
}

/** Password hashing with a bounded queue: a login storm waits, and then is told to, while tokens go on being issued. */
export function createPasswords(): Passwords {
  const bounded = createTurns({
    atOnce: concurrency,
    longestQueue,
    refusal: () => new TooBusy('Too many passwords are being checked.'),
  })

  return {
    hash: (password) => bounded(() => argon2.hash(password, parameters)),
    verify: (hashed, password) => bounded(() => argon2.verify(hashed, password)),
    isOutdated: (hashed) => argon2.needsRehash(hashed, parameters),
  }
}
