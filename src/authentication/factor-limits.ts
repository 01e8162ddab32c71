import { keyedHash } from '../crypto/digests.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as throttles from '../stores/operations/throttles.ts'

/** An attempt at a second factor that was counted, or the time to wait before the next one. */
export type FactorAttempt = { giveBack(): Promise<void> } | { retryAfterSeconds: number }

/** Limits the attempts at the second factors of an account. Only somebody who has given the first one gets here. */
export type FactorLimits = {
  /** Counts an attempt before the code is checked. A right code gives it back. */
  begin(accountId: string): Promise<FactorAttempt>
}

// Six digits with three steps that are valid: a year of guessing finds a code with a chance of 1 in 20.
const allowance = { burst: 6, everySeconds: 1_800 }

/** Creates the limits of attempts at second factors. All ways together have one allowance. */
export function createFactorLimits({ db, throttleKey }: { db: Db; throttleKey: Secret<Buffer> }): FactorLimits {
  return {
    async begin(accountId) {
      const rule = { keyHash: keyedHash(throttleKey, `second factor\0${accountId}`), ...allowance }
      const { way, waits } = await throttles.begin(db, [[rule]])
      if (way === undefined) return { retryAfterSeconds: waits[0] ?? allowance.everySeconds }
      return { giveBack: () => throttles.giveBack(db, { restored: [rule] }) }
    },
  }
}
