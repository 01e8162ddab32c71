import { createBoundedMap } from '../bounded-map.ts'
import type { Config } from '../config/index.ts'

/** An amount that each key may spend, and that refills over an hour. */
export type Allowance = {
  /** Returns the number of seconds until a key can spend this amount; 0 is now. */
  wait(key: string, amount: number): number
  spend(key: string, amount: number): void
}

const hourMs = 3_600_000
// Some 200 bytes each. Beyond this number the key unused for longest is forgotten, and has a full allowance again.
const remembered = 20_000

/**
 * Creates an allowance in the memory of this process, so that counting costs no round trip. A key may spend the amount
 * of an hour at once. In a day it can spend 25 times that amount at most.
 */
function createAllowance({ perHour }: { perHour: number }): Allowance {
  const known = createBoundedMap<string, { left: number; atMs: number }>(remembered)

  function leftOf(key: string, now: number): number {
    const { left, atMs } = known.get(key) ?? { left: perHour, atMs: now }
    return Math.min(perHour, left + (Math.max(0, now - atMs) / hourMs) * perHour)
  }
  // Otherwise an amount larger than the whole allowance would never be allowed.
  const bounded = (amount: number) => Math.min(amount, perHour)

  return {
    wait(key, amount) {
      const missing = bounded(amount) - leftOf(key, Date.now())
      return missing > 0 ? Math.ceil((missing / perHour) * 3_600) : 0
    },
    spend(key, amount) {
      const now = Date.now()
      known.set(key, { left: leftOf(key, now) - bounded(amount), atMs: now })
    },
  }
}

/** The allowances of networks and clients. Requests of signed-in people are not counted. */
export type Allowances = {
  keptByNetwork: Allowance
  keptByClient: Allowance
  changesByNetwork: Allowance
  changesByClient: Allowance
  /** Rejected requests that are stored with their reason. */
  refusedByNetwork: Allowance
  refused: Allowance
}

/**
 * Creates the allowances of one process. Each of `WORKERS` has its share, so that together they allow the configured
 * amount.
 */
export function createAllowances(config: Config): Allowances {
  const share = (perHour: number) => createAllowance({ perHour: perHour / config.WORKERS })
  return {
    keptByNetwork: share(config.KEPT_KILOBYTES_PER_NETWORK_PER_HOUR * 1_000),
    keptByClient: share(config.KEPT_KILOBYTES_PER_CLIENT_PER_HOUR * 1_000),
    changesByNetwork: share(config.REGISTRATION_CHANGES_PER_NETWORK_PER_HOUR),
    changesByClient: share(config.REGISTRATION_CHANGES_PER_CLIENT_PER_HOUR),
    refusedByNetwork: share(300),
    refused: share(2_000), // some 100 MB, since they are stored for three days
  }
}
