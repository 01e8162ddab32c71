import { createBoundedMap } from '../bounded-map.ts'
import type { Config } from '../config/index.ts'

/** An amount that each key may spend, and that comes back over an hour. */
export type Allowance = {
  /** After how many seconds a key can spend so much; 0 is now. */
  wait(key: string, amount: number): number
  spend(key: string, amount: number): void
}

const hourMs = 3_600_000
const remembered = 20_000 // keys, some 200 bytes each: forgetting the one unused for longest gives it a full allowance

/**
 * An allowance that is kept in the memory of this process, so that counting costs no round trip. What a key may spend at
 * once is what it may spend in an hour; over a day that is 25 hours' worth at most.
 */
function createAllowance({ perHour }: { perHour: number }): Allowance {
  const known = createBoundedMap<string, { left: number; atMs: number }>(remembered)

  function leftOf(key: string, now: number): number {
    const { left, atMs } = known.get(key) ?? { left: perHour, atMs: now }
    return Math.min(perHour, left + (Math.max(0, now - atMs) / hourMs) * perHour)
  }
  // What is larger than the whole allowance would otherwise never be let through.
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

/** What is allowed to those whom nobody vouches for, and to clients. */
export type Allowances = {
  keptByNetwork: Allowance
  keptByClient: Allowance
  changesByNetwork: Allowance
  changesByClient: Allowance
  /** Refused requests that are kept with their reason. */
  refusedByNetwork: Allowance
  refused: Allowance
}

/** The allowances of one process: each of `WORKERS` has its share, so that all together allow what is configured. */
export function createAllowances(config: Config): Allowances {
  const share = (perHour: number) => createAllowance({ perHour: perHour / config.WORKERS })
  return {
    keptByNetwork: share(config.KEPT_KILOBYTES_PER_NETWORK_PER_HOUR * 1_000),
    keptByClient: share(config.KEPT_KILOBYTES_PER_CLIENT_PER_HOUR * 1_000),
    changesByNetwork: share(config.REGISTRATION_CHANGES_PER_NETWORK_PER_HOUR),
    changesByClient: share(config.REGISTRATION_CHANGES_PER_CLIENT_PER_HOUR),
    refusedByNetwork: share(300),
    refused: share(2_000), // some 100 MB in the three days that they are kept
  }
}
