import { createHash, timingSafeEqual } from 'node:crypto'
import { keyedHash, randomId, sha256 } from '../crypto/digests.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as replays from '../stores/protocol/replays.ts'
import { widestNetworkOf } from './networks.ts'

const difficultyBits = 18 // about 260,000 hashes: a second or two on a telephone
const validSeconds = 1_800
/** How long somebody waits whose browser runs no script, before a form without an answer is accepted. */
export const patienceSeconds = 60

export type ProofOfWork = {
  /** Returns a challenge for one form. */
  challengeFor(subject: string): string
  /**
   * Accepts the answer to a challenge once. Without an answer, it accepts a challenge that is old enough, and only one of
   * them from each network in the time that waiting takes: many challenges can be fetched at once and grow old together.
   */
  accept(subject: string, given: { challenge: string; answer: string; address: string }): Promise<boolean>
}

/** Creates a proof of work that needs no third party: SHA-256 of a challenge and an answer begins with zero bits. */
export function createProofOfWork({ db, key }: { db: Db; key: Secret<Buffer> }): ProofOfWork {
  const signatureOf = (text: string, subject: string) =>
    keyedHash(key, `proof of work\0${subject}\0${text}`).subarray(0, 16).toString('base64url')
  const redeem = (hash: Buffer, seconds: number) => replays.redeem(db, hash, new Date(Date.now() + seconds * 1000))
  const turnOf = (address: string, now: number) =>
    keyedHash(key, `turn\0${widestNetworkOf(address)}\0${Math.floor(now / patienceSeconds)}`)

  return {
    challengeFor(subject) {
      const text = `${difficultyBits}.${Math.floor(Date.now() / 1000)}.${randomId(9)}`
      return `${text}.${signatureOf(text, subject)}`
    },

    async accept(subject, { challenge, answer, address }) {
      const [bits = '', issuedAt = '', nonce = ''] = challenge.split('.')
      const text = `${bits}.${issuedAt}.${nonce}`
      // The whole challenge is compared: with something added to it, it would be another one that was not used yet.
      if (!isSame(challenge, `${text}.${signatureOf(text, subject)}`)) return false
      const now = Date.now() / 1000
      const age = now - Number(issuedAt)
      const isSolved = leadingZeroBits(`${challenge}.${answer}`) >= Number(bits)
      if (age > validSeconds || !(isSolved || age >= patienceSeconds)) return false
      if (!isSolved && !(await redeem(turnOf(address, now), patienceSeconds))) return false
      return redeem(sha256(challenge), validSeconds)
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
