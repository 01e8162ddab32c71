import { randomBytes } from 'node:crypto'
import type { Context } from 'koa'
import type { Attempt, User } from './provider.ts'

export type Outcome = { title: string; isGood: boolean; details: unknown }

export type Session = {
  expiresAt: number
  /** The sign-ins under way, by `state`: one for every tab. */
  attempts: Map<string, Attempt>
  user?: User | undefined
  /** The result of the last button that was pressed, shown once. */
  outcome?: Outcome | undefined
  /** The work to finish before the next: a refresh token works once (RFC 9700 §4.14.2). */
  queue: Promise<unknown>
}

const lifetimeMs = 8 * 3_600_000

/** Creates sessions in memory, which a restart ends. The browser holds only a random identifier of its own. */
export function createSessions({ isSecure }: { isSecure: boolean }) {
  const sessions = new Map<string, Session>()
  // Browsers share the cookies of a host among its ports, so no other app may have the same name.
  const cookie = isSecure ? '__Host-relying_party' : 'relying_party'
  const attributes = { httpOnly: true, sameSite: 'lax', secure: isSecure } as const
  const sweep = () => {
    for (const [id, { expiresAt }] of sessions) if (expiresAt <= Date.now()) sessions.delete(id)
  }
  setInterval(sweep, 60_000).unref() // does not keep the process running

  return {
    find(ctx: Context): Session | undefined {
      const session = sessions.get(ctx.cookies.get(cookie) ?? '')
      return session && session.expiresAt > Date.now() ? session : undefined
    },

    /** Begins a session, always with a new identifier: a planted or stolen one is worthless (session fixation). */
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
