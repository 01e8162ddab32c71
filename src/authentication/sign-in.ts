import { keyedHash } from '../crypto/digests.ts'
import { type Passwords, TooBusy } from '../crypto/passwords.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as accounts from '../stores/accounts.ts'
import * as audit from '../stores/audit.ts'
import * as throttles from '../stores/throttles.ts'
import { networkOf } from './networks.ts'

export type SignInAttempt = { email: string; password: string; address: string; requestId: string }

export type SignInOutcome =
  | { accountId: string; epoch: number }
  | { error: 'wrong-credentials' | 'busy' }
  | { error: 'too-many-attempts'; retryAfterSeconds: number }

/** Checks an email address and a password. Every refusal is the same, whichever part of it was wrong. */
export type SignIn = (attempt: SignInAttempt) => Promise<SignInOutcome>

const longestPassword = 1_024 // characters; hashing is bounded, whatever is sent

export function createSignIn({
  db,
  passwords,
  throttleKey,
}: {
  db: Db
  passwords: Passwords
  throttleKey: Secret<Buffer>
}): SignIn {
  // Verified against when the account is unknown or disabled, so every refusal costs one argon2 run.
  const decoyHash = passwords.hash('no account has this password')
  decoyHash.catch(() => {}) // reported by the attempt that awaits it

  return async ({ email, password, address, requestId }) => {
    const canonical = accounts.canonicalEmail(email)
    const key = (kind: string, ...parts: string[]) => keyedHash(throttleKey, [kind, ...parts].join('\0'))
    const network = networkOf(address)
    // By the address as typed, whether or not an account has it, so throttling tells nothing. A person who
    // signs in from one place is not kept out by guesses from another: there only the guesses slow down.
    const pair = { keyHash: key('account+address', canonical, network), free: 5, longestDelaySeconds: 900 }
    const origin = { keyHash: key('address', network), free: 50, longestDelaySeconds: 300 }
    const everywhere = { keyHash: key('account', canonical), free: 200, longestDelaySeconds: 5 }

    const retryAfterSeconds = await throttles.begin(db, [pair, origin, everywhere])
    // Not a line in the audit: the failures that led here are there, and these cost whoever sends them nothing.
    if (retryAfterSeconds > 0) return { error: 'too-many-attempts', retryAfterSeconds }
    const refund = () =>
      throttles.succeed(db, { cleared: [], refunded: [pair.keyHash, origin.keyHash, everywhere.keyHash] })

    try {
      const found = password.length <= longestPassword ? await accounts.findCredentials(db, email) : undefined
      const isUsable = found?.passwordHash !== undefined && !found.account.isDisabled
      const hashed = isUsable && found.passwordHash ? found.passwordHash : await decoyHash
      const matches = await passwords.verify(hashed, password.slice(0, longestPassword))

      if (!found || !isUsable || !matches) {
        const event = { type: 'sign_in.failed', accountId: found?.account.id, address, requestId, isByStranger: true }
        await audit.append(db, [event])
        return { error: 'wrong-credentials' }
      }
      const accountId = found.account.id
      if (passwords.isOutdated(hashed)) {
        await accounts.renewPasswordHash(db, accountId, { from: hashed, to: await passwords.hash(password) })
      }
      await throttles.succeed(db, { cleared: [pair.keyHash], refunded: [origin.keyHash, everywhere.keyHash] })
      await audit.append(db, [{ type: 'sign_in.succeeded', accountId, address, requestId }])
      return { accountId, epoch: found.account.epoch }
    } catch (error) {
      await refund()
      if (error instanceof TooBusy) return { error: 'busy' }
      throw error
    }
  }
}
