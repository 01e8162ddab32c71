import { keyedHash } from '../crypto/digests.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as rateLimits from '../stores/operations/rate-limits.ts'
import { networksOf } from './networks.ts'

const hour = 3_600
const provenTimes = 10 // as many from one network if each is proven

export type SignUpLimits = {
  /** Returns whether a sign-up from this address has to be proven to be no robot's. */
  needsProof(address: string): Promise<boolean>
  /** Counts a sign-up. `'too-many'` if the network has had all that it may have, which is more with proof. */
  count(address: string, options: { isProven: boolean }): Promise<'counted' | 'too-many'>
}

/** Creates the limits of signing up. They count what is asked for, and so say nothing about who has an account. */
export function createSignUpLimits({
  db,
  throttleKey,
  perNetwork,
}: {
  db: Db
  throttleKey: Secret<Buffer>
  perNetwork: number
}): SignUpLimits {
  const limitsOf = (address: string, times: number) =>
    networksOf(address).map(({ network, allowance }) => ({
      keyHash: keyedHash(throttleKey, `sign-up\0network\0${network}`),
      most: perNetwork * allowance * times,
    }))

  return {
    needsProof: (address) => rateLimits.isUsedUp(db, limitsOf(address, 1)),

    async count(address, { isProven }) {
      const limits = limitsOf(address, isProven ? provenTimes : 1)
      const wait = await rateLimits.take(db, { limits, windowSeconds: hour })
      return wait === 0 ? 'counted' : 'too-many'
    },
  }
}
