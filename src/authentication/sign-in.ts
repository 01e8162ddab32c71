import { type Passwords, TooBusy } from '../crypto/passwords.ts'
import type { Db } from '../database/schema.ts'
import type { Secret } from '../secret.ts'
import * as audit from '../stores/operations/audit.ts'
import * as throttles from '../stores/operations/throttles.ts'
import * as accounts from '../stores/people/accounts.ts'
import { createLimits, knownNetworkSeconds } from './attempts.ts'
import { createDecoys } from './decoys.ts'
import { createKnownBrowsers } from './known-browsers.ts'
import { startLikeAnswers } from './like-answers.ts'

export type SignInAttempt = {
  email: string
  password: string
  address: string
  requestId: string
  /** The cookie of a browser that has signed in before, as it was sent. */
  knownBrowser: string | undefined
}

export type SignInOutcome =
  | {
      accountId: string
      epoch: number
      /** The cookie that identifies this browser from now on. */
      knownBrowser: string
    }
  | { error: 'wrong-credentials' | 'busy' | 'unavailable' }
  | { error: 'too-many-attempts'; retryAfterSeconds: number }

/** The answer of a directory: an account, or the reason for a refusal. */
export type DirectoryOutcome =
  | { account: accounts.Account }
  | {
      refused: string
      /** Whether the refusal counts more than the right password of a local account. */
      overrules: boolean
    }

/** Signs in people of a directory. */
export type DirectorySignIn = {
  /** Returns whether an address may belong to the directory, by the address alone. */
  isAsked(email: string): boolean
  /** Checks a password. Without `mayCheck` it does the rest of the work only. */
  signIn(attempt: { email: string; password: string; mayCheck: boolean }): Promise<DirectoryOutcome>
}

/** Checks an email address and a password. The refusal is the same whichever of them was wrong. */
export type SignIn = (attempt: SignInAttempt) => Promise<SignInOutcome>

const longestPassword = 1_024 // characters, so that hashing takes bounded time

/** Creates the one sign-in of this process. Nothing that it depends on changes when keys do. */
export function createSignIn({
  db,
  passwords,
  throttleKey,
  directory,
}: {
  db: Db
  passwords: Passwords
  throttleKey: Secret<Buffer>
  directory?: DirectorySignIn | undefined
}): SignIn {
  const limitsOf = createLimits(throttleKey)
  const knownBrowsers = createKnownBrowsers(throttleKey)
  const findDecoy = createDecoys({ db, key: throttleKey })

  /** Returns the hash of an account that can sign in with a password that is kept here. */
  function usableHash(found: accounts.Credentials | undefined): string | undefined {
    const isKeptHere = found && !(directory && found.isInDirectory)
    return isKeptHere && !found.account.isDisabled ? found.passwordHash : undefined
  }

  /**
   * Finds the account that has this password. It takes as long for an account that cannot sign in as for one that can.
   */
  async function verified(
    found: accounts.Credentials | undefined,
    { email, password, isSuspect, decoy }: { email: string; password: string; isSuspect: boolean; decoy: string },
  ): Promise<accounts.Credentials | undefined> {
    const verify = (hash: string | undefined) =>
      passwords.verify(hash ?? decoy, password.slice(0, longestPassword), { isSuspect, isDecoy: hash === undefined })
    const hash = usableHash(found)
    const { matches, renewed } = await verify(hash)
    if (!found || hash === undefined || !matches) return undefined
    if (renewed === undefined) return found
    if (await accounts.renewPasswordHash(db, found.account.id, { from: hash, to: renewed })) return found
    // The hash has changed since it was read: somebody signed in at the same moment, or set another password. The new
    // hash decides.
    const latest = await accounts.findCredentials(db, email)
    const isRight = (await verify(usableHash(latest))).matches
    return isRight && latest?.account.id === found.account.id ? latest : undefined
  }

  return async ({ email, password, address, requestId, knownBrowser }) => {
    const canonical = accounts.canonicalEmail(email)
    // Both are found for every attempt, so that the time of the queries reveals nothing either.
    const [known, decoy] = await Promise.all([accounts.findCredentials(db, email), findDecoy(canonical)])
    const found = password.length <= longestPassword ? known : undefined
    const { open, blind, knownNetwork, forgivable } = limitsOf({
      email: canonical,
      address,
      knownBrowser: found && knownBrowsers.counterOf(knownBrowser, found.account),
    })
    const ways = [...open, blind]
    const { way, waits, isMarked } = await throttles.begin(db, ways, { mark: knownNetwork })
    const refusal = { error: 'too-many-attempts', retryAfterSeconds: Math.min(...waits.slice(0, open.length)) } as const
    // No audit event: the failures that led here have theirs, and no password was checked.
    if (way === undefined) return refusal
    const counted = ways[way] ?? []
    const isBlind = way === open.length
    const asked = directory?.isAsked(canonical) ? directory : undefined
    const untilAlike = asked ? startLikeAnswers() : async () => {}

    try {
      // A blind attempt does the same work for an account that nobody has signed in to from here, so that time reveals
      // nothing.
      const candidate = isBlind && !isMarked ? undefined : found
      const event = { accountId: found?.account.id, address, requestId, isByStranger: true }
      const mayCheck = (!isBlind || isMarked) && password.length <= longestPassword
      const [local, outside] = await Promise.all([
        verified(candidate, { email, password, isSuspect: isBlind, decoy }),
        asked?.signIn({ email: canonical, password, mayCheck }),
        // The answer looks as if the password had not been checked. The event is written at the same time, or the time
        // would reveal that it was.
        isBlind && candidate ? audit.append(db, [{ type: 'sign_in.tried', ...event }]) : undefined,
      ])
      const account = joined(local, outside)
      if (!account) {
        if (isBlind) await untilAlike()
        if (isBlind) return refusal
        const details = outside && 'refused' in outside ? { directory: outside.refused } : {}
        await audit.append(db, [{ type: 'sign_in.failed', ...event, details }])
        await untilAlike()
        // The same for every address that may belong to the directory, whether or not it has a local account.
        return { error: details.directory === 'unavailable' ? 'unavailable' : 'wrong-credentials' }
      }
      const restored = counted.filter((rule) => !forgivable.includes(rule))
      await throttles.giveBack(db, { restored, forgotten: forgivable })
      await throttles.mark(db, knownNetwork, knownNetworkSeconds)
      await audit.append(db, [{ type: 'sign_in.succeeded', accountId: account.id, address, requestId }])
      const { id: accountId, epoch } = account
      return { accountId, epoch, knownBrowser: knownBrowsers.remember(knownBrowser, account) }
    } catch (error) {
      await throttles.giveBack(db, { restored: counted }) // the password was not checked, or nobody received the answer
      if (error instanceof TooBusy) return { error: 'busy' }
      throw error
    }
  }
}

/** Returns who has signed in: somebody of the directory, or somebody with a local account unless the directory objects. */
function joined(
  local: accounts.Credentials | undefined,
  outside: DirectoryOutcome | undefined,
): accounts.Account | undefined {
  if (outside && 'account' in outside) return outside.account
  return outside?.overrules ? undefined : local?.account
}
