import { keyedHash } from '../crypto/digests.ts'
import type { Secret } from '../secret.ts'
import type { ThrottleRule } from '../stores/operations/throttles.ts'
import { networksOf, widestNetworkOf } from './networks.ts'

type Allowance = { burst: number; everySeconds: number }

const daySeconds = 86_400
/** For how long a network is known after somebody signed in to an account from there. */
export const knownNetworkSeconds = 90 * daySeconds

/**
 * How many wrong passwords there may be, at once and then one by one. SECURITY.md says what that comes to for attackers
 * of any size, and bench/guessing.ts tries it.
 */
export const allowances = {
  /** In a browser that has signed in to the account before. Nobody else uses these up. */
  knownBrowser: { burst: 6, everySeconds: 300 },
  /** For one account from one network. */
  pair: { burst: 6, everySeconds: 300 },
  /** From one network, for all accounts together. */
  network: { burst: 100, everySeconds: 30 },
  /** For one account, from all networks together. */
  account: { burst: 100, everySeconds: 60 },
  /** For one account from one network, whatever all others have used up of the account's. */
  reserve: { burst: 3, everySeconds: daySeconds },
} as const satisfies Record<string, Allowance>

export type Attempt = {
  /** The ways in which the attempt may be made, in the order of preference. */
  open: ThrottleRule[][]
  /**
   * How it may be made when none of these is open: the answer then is that of an attempt that has to wait, unless the
   * password is right. It is looked at only if the account was signed in to from this network before.
   */
  blind: ThrottleRule[]
  /** Marked if the account was signed in to from this network before. */
  knownNetwork: Buffer
  /** What a success forgets, because it shows that the failures before were a person's own. */
  forgivable: ThrottleRule[]
}

/** The limits of an attempt to sign in. */
export type LimitsOf = (attempt: {
  /** The address as typed, in its canonical form, whether or not an account has it: so throttling tells nothing. */
  email: string
  address: string
  /** What a browser that is known to the account is counted by. */
  knownBrowser: string | undefined
}) => Attempt

/** Says what an attempt is limited by. What strangers can use up limits strangers only. */
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
      // A known browser that has used up its own attempts is a stranger. The reserve is for when the others are gone.
      open: [
        ...(own.length > 0 ? [own] : []),
        [...shared, rule(allowances.account, 1, 'account', email)],
        [...shared, ...reserves],
      ],
      blind: pairs,
      knownNetwork: keyHash('known network', widestNetworkOf(address), email),
      // In the wider networks, others may have failed too.
      forgivable: [...own, ...pairs.slice(0, 1), ...reserves.slice(0, 1)],
    }
  }
}
