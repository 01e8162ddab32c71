import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'
import type { Attempt, User } from './provider.ts'

export type Outcome = { title: string; isGood: boolean; details: unknown }

export type Session = {
  expiresAt: number
  /** Sign-ins that were begun, by `state`: one for every tab. */
  attempts: Map<string, Attempt>
  user?: User | undefined
  /** What came of the button that was pressed, shown once. */
  outcome?: Outcome | undefined
  /** The work that comes before the next: a refresh token works once (RFC 9700 §4.14.2). */
  queue: Promise<unknown>
}

const lifetimeMs = 8 * 3_600_000

/** Sessions in memory: a restart ends them all. The browser holds a random name for its own, and nothing else. */
export function createSessions({ isSecure }: { isSecure: boolean }) {
  const sessions = new Map<string, Session>()
  // Browsers do not keep apart the cookies of two ports of one host, so the name must be ours alone.
  const cookie = isSecure ? '__Host-relying_party' : 'relying_party'
  const attributes = { httpOnly: true, sameSite: 'lax', secure: isSecure } as const
  const sweep = () => {
    for (const [id, { expiresAt }] of sessions) if (expiresAt <= Date.now()) sessions.delete(id)
  }
  setInterval(sweep, 60_000).unref() // no reason to stay when all else has stopped

  return {
    find(ctx: Context): Session | undefined {
      const session = sessions.get(ctx.cookies.get(cookie) ?? '')
      return session && session.expiresAt > Date.now() ? session : undefined
    },

    /** Always under a new name: whoever planted or saw the old one is left outside (session fixation). */
    begin(ctx: Context, content: Partial<Session> = {}): Session {
      sessions.delete(ctx.cookies.get(cookie) ?? '')
      const id = randomBytes(32).toString('base64url')
      const session = { attempts: new Map(), queue: Promise.resolve(), ...content, expiresAt: Date.now() + lifetimeMs }
      sessions.set(id, session)
      ctx.cookies.set(cookie, id, { ...attributes, maxAge: lifetimeMs })
      return session
    },

    end(ctx: Context): void {
      sessions.delete(ctx.cookies.get(cookie) ?? '')
      ctx.cookies.set(cookie, null, attributes)
    },

    endWhere(isMeant: (user: User) => boolean): void {
      for (const [id, { user }] of sessions) if (user && isMeant(user)) sessions.delete(id)
    },
  }
}
