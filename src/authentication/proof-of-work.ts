import { createHash, timingSafeEqual } from 'node:crypto'
import { keyedHash, randomId, sha256 } from '../crypto/digests.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as replays from '../stores/protocol/replays.ts'

const difficultyBits = 18 // about 260,000 hashes: a second or two on a telephone
const validSeconds = 1_800
/** How long somebody waits whose browser runs no script, before a form without an answer is accepted. */
export const patienceSeconds = 60

export type ProofOfWork = {
  /** Returns a challenge for one form. */
  challengeFor(subject: string): string
  /**
   * Accepts the answer to a challenge once. Without an answer, it accepts the challenge if it is old enough: whoever waits
   * a minute for each form is no quicker than somebody who computes.
   */
  accept(subject: string, given: { challenge: string; answer: string }): Promise<boolean>
}

/** Creates a proof of work that needs no third party: SHA-256 of a challenge and an answer begins with zero bits. */
export function createProofOfWork({ db, key }: { db: Db; key: Secret<Buffer> }): ProofOfWork {
  const signatureOf = (text: string, subject: string) =>
    keyedHash(key, `proof of work\0${subject}\0${text}`).subarray(0, 16).toString('base64url')

  return {
    challengeFor(subject) {
      const text = `${difficultyBits}.${Math.floor(Date.now() / 1000)}.${randomId(9)}`
      return `${text}.${signatureOf(text, subject)}`
    },

    async accept(subject, { challenge, answer }) {
      const [bits = '', issuedAt = '', nonce = '', signature = ''] = challenge.split('.')
      if (!isSame(signature, signatureOf(`${bits}.${issuedAt}.${nonce}`, subject))) return false
      const age = Date.now() / 1000 - Number(issuedAt)
      const isSolved = leadingZeroBits(`${challenge}.${answer}`) >= Number(bits)
      if (age > validSeconds || !(isSolved || age >= patienceSeconds)) return false
      return replays.redeem(db, sha256(challenge), new Date(Date.now() + validSeconds * 1000))
    },
  }
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}

function leadingZeroBits(text: string): number {
  const hash = createHash('sha256').update(text).digest()
  const first = hash.findIndex((byte) => byte !== 0)
  return first === -1 ? hash.length * 8 : first * 8 + Math.clz32(hash[first] ?? 0) - 24
}
