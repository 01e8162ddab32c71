import { keyedHash } from '../crypto/digests.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as throttles from '../stores/operations/throttles.ts'
import { knownNetworkOf } from './attempts.ts'
import { networksOf, widestNetworkOf } from './networks.ts'

/** The mails that somebody can have sent without being signed in. Codes have limits of their own: each can be guessed. */
export type MailKind = 'link' | 'code'

// The number of mails at once, and the time until each further one.
const allowances = {
  /** To one address, for one network. The owner of the address is mostly in another network than somebody else. */
  pair: { link: { burst: 3, everySeconds: 900 }, code: { burst: 4, everySeconds: 900 } },
  /** To one address, for all networks together. With five attempts for each code, a year of guessing finds 1 in 20. */
  address: { link: { burst: 12, everySeconds: 900 }, code: { burst: 8, everySeconds: 3_600 } },
  /** To one address, for a network from where its owner has signed in, even when others have used up those of the address. */
  own: { link: { burst: 3, everySeconds: 900 }, code: { burst: 4, everySeconds: 3_600 } },
  /** To all addresses, for one network. */
  network: { link: { burst: 60, everySeconds: 30 }, code: { burst: 60, everySeconds: 30 } },
} as const

/** Counts a mail and returns whether it may be sent. It does the same for an address that has no account. */
export type MailLimits = (mail: {
  kind: MailKind
  /** The canonical form of the address that the mail goes to. */
  email: string
  /** The network address of the one who asks. */
  address: string
}) => Promise<boolean>

/** Creates the limits of mails that strangers ask for. */
export function createMailLimits({ db, throttleKey }: { db: Db; throttleKey: Secret<Buffer> }): MailLimits {
  return async ({ kind, email, address }) => {
    const rule = (limit: keyof typeof allowances, times: number, ...about: string[]): throttles.ThrottleRule => {
      const { burst, everySeconds } = allowances[limit][kind]
      const keyHash = keyedHash(throttleKey, ['mail', kind, limit, ...about].join('\0'))
      return { keyHash, burst: burst * times, everySeconds: everySeconds / times }
    }
    const networks = networksOf(address)
    const shared = [
      ...networks.map(({ network, allowance }) => rule('pair', allowance, email, network)),
      ...networks.map(({ network, allowance }) => rule('network', allowance, network)),
    ]
    // Strangers can use up the mails of an address. Its owner still gets some in a network that they have signed in from.
    const ways = [
      [...shared, rule('address', 1, email)],
      [...shared, rule('own', 1, email, widestNetworkOf(address))],
    ]
    const { way, isMarked } = await throttles.begin(db, ways, { mark: knownNetworkOf(throttleKey, { email, address }) })
    return way === 0 || (way === 1 && isMarked)
  }
}
