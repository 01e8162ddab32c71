import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import type { Interaction } from 'oidc-provider'
import { z } from 'zod'
import { sha256 } from '../../crypto/digests.ts'
import type { SignedInSession } from '../../oidc/parameters/sign-out.ts'
import type { Storage } from '../../oidc/request/storage.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { OtherAccount } from '../../views/pages/continue-as.ts'

/** The accounts that are signed in at one browser: the current one, and others whose sessions wait. */
export type BrowserAccounts = {
  /** Returns the accounts whose sessions wait, the last used first. */
  others(ctx: Context): Promise<OtherAccount[]>
  /**
   * Makes the session of an account the current one and lets the current one wait, before the interaction is finished.
   * Without a session of that account, the next step begins one. Nothing changes if it is the current account already.
   */
  turnTo(ctx: Context, interaction: Interaction, accountId: string): Promise<void>
  /**
   * Makes the session that an interaction began with the current one again, if it waits: in another tab, the person has
   * turned to another account since. The answer is then about the account that the page named.
   */
  returnTo(ctx: Context, interaction: Interaction): Promise<void>
  /** Makes the session of an account the current one, outside of any interaction. `false` if no live one waits. */
  open(ctx: Context, accountId: string): Promise<boolean>
  /** Returns the live sessions that wait, as far as a request to sign out can name one. */
  sessions(ctx: Context): Promise<SignedInSession[]>
}

/** A session that waits: the value of its cookie, and whether it outlasts the browser. */
const waitingSession = z.object({ id: z.string(), accountId: z.string(), isLasting: z.boolean() })
type WaitingSession = z.output<typeof waitingSession>

type Current = { id: string; uid: string; accountId: string; payload: Record<string, unknown> }

const most = 5 // more would make requests large, and a choice hard
const identity = 'cookie:accounts'
const lastingMs = 30 * 86_400_000 // longer than an unused session

/**
 * Keeps the sessions that wait in a cookie of their own. Each stays a session like any other, with its own tokens, apps and
 * end: this browser only does not present it. The cookie is encrypted, because it is worth as much as all of them.
 */
export function createBrowserAccounts({
  storage,
  provider,
  isSecure,
}: {
  storage: Storage
  provider: Provider
  isSecure: boolean
}): BrowserAccounts {
  const { db, envelope } = storage
  const name = isSecure ? '__Host-postern_accounts' : 'postern_accounts'
  const sessionCookie = provider.cookieName('session')
  const options = { signed: true, httpOnly: true, sameSite: 'lax', secure: isSecure, overwrite: true } as const

  function read(ctx: Context): WaitingSession[] {
    const value = ctx.cookies.get(name, { signed: true })
    if (value === undefined) return []
    try {
      return z
        .array(waitingSession)
        .parse(JSON.parse(envelope.open(value, identity)))
        .slice(0, most)
    } catch {
      return [] // it is of an encryption key that was removed, and these people sign in again
    }
  }

  function write(ctx: Context, waiting: readonly WaitingSession[]): void {
    const isLasting = waiting.every((session) => session.isLasting)
    const value = waiting.length > 0 ? envelope.seal(JSON.stringify(waiting.slice(0, most)), identity) : null
    ctx.cookies.set(name, value, { ...options, ...(isLasting && { maxAge: lastingMs }) })
  }

  async function findSession(id: string | undefined) {
    const found = id === undefined ? undefined : await storage.findSession(sha256(id))
    return found?.accountId === undefined ? undefined : { ...found, accountId: found.accountId }
  }

  /** Lets the current session wait, and makes the next one current; without one, nobody is signed in. */
  function exchange(
    ctx: Context,
    current: Current | undefined,
    next: WaitingSession | undefined,
    accountId: string,
  ): void {
    const others = read(ctx).filter((session) => ![accountId, current?.accountId].includes(session.accountId))
    const isLasting = current?.payload['transient'] !== true
    const left = current ? [{ id: current.id, accountId: current.accountId, isLasting }] : []
    write(ctx, [...left, ...others])
    ctx.cookies.set(sessionCookie, next?.id ?? null, options)
  }

  async function findCurrent(ctx: Context): Promise<Current | undefined> {
    const id = ctx.cookies.get(sessionCookie, { signed: true })
    const found = await findSession(id)
    return found && id !== undefined ? { ...found, id } : undefined
  }

  return {
    async others(ctx) {
      const current = await findCurrent(ctx)
      const waiting = read(ctx).filter(({ accountId }) => accountId !== current?.accountId)
      const shown = await Promise.all(
        waiting.map(async ({ id, accountId }) => {
          const account = await accounts.findById(db, accountId)
          if (!account || account.isDisabled) return []
          const isSignedIn = (await findSession(id))?.accountId === accountId
          const { email, profile } = account
          return [{ id: accountId, name: String(profile['name'] ?? ''), email, isSignedIn }]
        }),
      )
      return shown.flat()
    },

    async turnTo(ctx, interaction, accountId) {
      const current = await findCurrent(ctx)
      if (current?.accountId === accountId) return
      const waiting = read(ctx).find((session) => session.accountId === accountId)
      const isLive = (await findSession(waiting?.id))?.accountId === accountId
      if (!current && !isLive) return
      exchange(ctx, current, isLive ? waiting : undefined, accountId)
      // The engine continues an interaction only with the session that it began with, if it began with one.
      delete interaction.session
      await interaction.save(interaction.exp - Math.floor(Date.now() / 1000))
    },

    async open(ctx, accountId) {
      const waiting = read(ctx).find((session) => session.accountId === accountId)
      if (!waiting || (await findSession(waiting.id))?.accountId !== accountId) return false
      exchange(ctx, await findCurrent(ctx), waiting, accountId)
      return true
    },

    async sessions(ctx) {
      const found = await Promise.all(read(ctx).map(({ id }) => findSession(id)))
      return found.flatMap((session) => {
        if (!session) return []
        const { accountId, payload, authorizations } = session
        return [{ accountId, loginTs: Number(payload['loginTs']), authorizations } as SignedInSession]
      })
    },

    async returnTo(ctx, { session }) {
      if (!session) return
      const current = await findCurrent(ctx)
      if (current?.uid === session.uid) return
      const waiting = read(ctx).find(({ accountId }) => accountId === session.accountId)
      if ((await findSession(waiting?.id))?.uid !== session.uid) return
      exchange(ctx, current, waiting, session.accountId)
    },
  }
}
