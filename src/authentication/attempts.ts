import { keyedHash } from '../crypto/digests.ts'
import type { Secret } from '../secret.ts'
import type { ThrottleRule } from '../stores/operations/throttles.ts'
import { networksOf, widestNetworkOf } from './networks.ts'

type Allowance = { burst: number; everySeconds: number }

const daySeconds = 86_400
/** How long a network is known after somebody signed in to an account from it. */
export const knownNetworkSeconds = 90 * daySeconds

/**
 * The number of wrong passwords allowed at once, and the time until each further one. SECURITY.md says what that
 * amounts to for attackers of any size, and bench/guessing.ts measures it.
 */
export const allowances = {
  /** In a browser that has signed in to the account before. Nobody else can use these up. */
  knownBrowser: { burst: 6, everySeconds: 300 },
  /** For one account from one network. */
  pair: { burst: 6, everySeconds: 300 },
  /** From one network, for all accounts together. */
  network: { burst: 100, everySeconds: 30 },
  /** For one account, from all networks together. */
  account: { burst: 100, everySeconds: 60 },
  /** For one account from one network, even when others have used up those of the account. */
  reserve: { burst: 3, everySeconds: daySeconds },
} as const satisfies Record<string, Allowance>

export type Attempt = {
  /** The ways to make the attempt, the preferred one first. Each is a list of limits that it counts against. */
  open: ThrottleRule[][]
  /**
   * The limits of the attempt when none of these ways is open. It is then answered like one that has to wait, unless
   * the password is right. The password is checked only if somebody has signed in to the account from this network
   * before.
   */
  blind: ThrottleRule[]
  /** The mark of an account that somebody has signed in to from this network before. */
  knownNetwork: Buffer
  /** The limits that a success resets, because it shows that the earlier failures were the person's own. */
  forgivable: ThrottleRule[]
}

/** Returns the limits of an attempt to sign in. */
export type LimitsOf = (attempt: {
  /**
   * The canonical form of the address as typed, whether or not an account has it, so that throttling reveals nothing.
   */
  email: string
  address: string
  /** The counter of a browser that is known to the account. */
  knownBrowser: string | undefined
}) => Attempt

/** Returns the mark of an account that somebody has signed in to from the network of this address. */
export function knownNetworkOf(
  throttleKey: Secret<Buffer>,
  { email, address }: { email: string; address: string },
): Buffer {
  return keyedHash(throttleKey, ['sign-in', 'known network', widestNetworkOf(address), email].join('\0'))
}

/** Creates the limits of attempts. Limits that strangers can use up apply to strangers only. */
export function createLimits(throttleKey: Secret<Buffer>): LimitsOf {
  const keyHash = (...about: string[]) => keyedHash(throttleKey, ['sign-in', ...about].join('\0'))
  const rule = ({ burst, everySeconds }: Allowance, times: number, ...about: string[]): ThrottleRule => ({
    keyHash: keyHash(...about),
    burst: burst * times,
    everySeconds: everySeconds / times,
  })

  return ({ email, address, knownBrowser }) => {
    const networks = networksOf(address)
    const of = (kind: 'pair' | 'network' | 'reserve', ...about: string[]) =>
      networks.map(({ network, allowance }) => rule(allowances[kind], allowance, kind, network, ...about))
    const pairs = of('pair', email)
    const reserves = of('reserve', email)
    const shared = [...pairs, ...of('network')]
    const own = knownBrowser === undefined ? [] : [rule(allowances.knownBrowser, 1, 'known browser', knownBrowser)]
    return {
      // A known browser that has used up its own attempts counts as a stranger. The reserve comes last.
      open: [
        ...(own.length > 0 ? [own] : []),
        [...shared, rule(allowances.account, 1, 'account', email)],
        [...shared, ...reserves],
      ],
      blind: pairs,
      knownNetwork: knownNetworkOf(throttleKey, { email, address }),
      // Not those of the wider networks, where others may have failed too.
      forgivable: [...own, ...pairs.slice(0, 1), ...reserves.slice(0, 1)],
    }
  }
}
