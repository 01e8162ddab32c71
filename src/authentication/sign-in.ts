import { decoyHash, type Passwords, TooBusy } from '../crypto/passwords.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as accounts from '../stores/accounts.ts'
import * as audit from '../stores/audit.ts'
import * as throttles from '../stores/throttles.ts'
import { createLimits } from './attempts.ts'
import { createKnownBrowsers } from './known-browsers.ts'

export type SignInAttempt = {
  email: string
  password: string
  address: string
  requestId: string
  /** The cookie of browsers that have signed in before, as it was sent. */
  knownBrowser: string | undefined
}

export type SignInOutcome =
  | {
      accountId: string
      epoch: number
      /** The cookie by which this browser is known from now on. */
      knownBrowser: string
    }
  | { error: 'wrong-credentials' | 'busy' }
  | { error: 'too-many-attempts'; retryAfterSeconds: number }

/** Checks an email address and a password. Every refusal is the same, whichever part of it was wrong. */
export type SignIn = (attempt: SignInAttempt) => Promise<SignInOutcome>

const longestPassword = 1_024 // characters; hashing is bounded, whatever is sent

/** Makes the one sign-in of this process. What it needs outlives a change of keys. */
export function createSignIn({
  db,
  passwords,
  throttleKey,
}: {
  db: Db
  passwords: Passwords
  throttleKey: Secret<Buffer>
}): SignIn {
  const limitsOf = createLimits(throttleKey)
  const knownBrowsers = createKnownBrowsers(throttleKey)

  /** The account whose password this is. An account that cannot sign in costs as much as one that can. */
  async function verified(found: accounts.Credentials | undefined, email: string, password: string) {
    const hash = found?.account.isDisabled ? undefined : found?.passwordHash
    const { matches, renewed } = await passwords.verify(hash ?? decoyHash, password.slice(0, longestPassword))
    if (!found || hash === undefined || !matches) return undefined
    if (renewed === undefined) return found.account
    if (await accounts.renewPasswordHash(db, found.account.id, { from: hash, to: renewed })) return found.account
    // The hash is another one by now: of the same password if somebody signed in at the same moment, or of one that was
    // set meanwhile. It decides.
    const latest = await accounts.findCredentials(db, email)
    const isUsable = latest?.passwordHash !== undefined && !latest.account.isDisabled
    if (!isUsable || latest.account.id !== found.account.id) return undefined
    return (await passwords.verify(latest.passwordHash ?? decoyHash, password)).matches ? latest.account : undefined
  }

  return async ({ email, password, address, requestId, knownBrowser }) => {
    const found = password.length <= longestPassword ? await accounts.findCredentials(db, email) : undefined
    const { ways, forgivable } = limitsOf({
      email: accounts.canonicalEmail(email),
      address,
      knownBrowser: found && knownBrowsers.counterOf(knownBrowser, found.account),
    })
    const begun = await throttles.begin(db, ways)
    // Not a line in the audit: the failures that led here are there, and these cost nobody anything.
    if ('retryAfterSeconds' in begun) return { error: 'too-many-attempts', ...begun }
    const counted = ways[begun.way] ?? []

    try {
      const account = await verified(found, email, password)
      if (!account) {
        const event = { type: 'sign_in.failed', accountId: found?.account.id, address, requestId, isByStranger: true }
        await audit.append(db, [event])
        return { error: 'wrong-credentials' }
      }
      const restored = counted.filter((rule) => !forgivable.includes(rule))
      await throttles.giveBack(db, { restored, forgotten: forgivable })
      await audit.append(db, [{ type: 'sign_in.succeeded', accountId: account.id, address, requestId }])
      const { id: accountId, epoch } = account
      return { accountId, epoch, knownBrowser: knownBrowsers.remember(knownBrowser, account) }
    } catch (error) {
      await throttles.giveBack(db, { restored: counted }) // the password was not looked at, or nobody was told
      if (error instanceof TooBusy) return { error: 'busy' }
      throw error
    }
  }
}
