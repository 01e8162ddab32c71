import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Logger } from 'pino'
import type { Db } from '../database/schema.ts'
import * as lifetimes from '../stores/client-lifetimes.ts'
import type { ClientCache } from './clients.ts'

export type ClientUses = {
  /** Notes that a client was used now. Costs no time: it is written later, with others. */
  note(id: string): void
  /** Writes what was noted. */
  stop(): Promise<void>
}

const resolutionMs = 60 * 60_000 // how exactly it is known when a client was used last
const everyMs = 60_000
const remembered = 20_000 // clients, as many as are kept in process

/**
 * When clients were used last. It is written once a minute at most, in one statement for all clients, and for each
 * once an hour. The exception is a client that is to be removed unless it is used: what saves it is written at once.
 */
export function createClientUses({ db, clients, log }: { db: Db; clients: ClientCache; log: Logger }): ClientUses {
  const notedAt = new Map<string, number>()
  const waiting = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let isDue = false
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    isDue = false
    const ids = [...waiting]
    waiting.clear()
    if (ids.length === 0) return
    try {
      await lifetimes.touch(db, ids, new Date())
    } catch (error) {
      log.warn({ err: error }, 'the use of clients could not be noted, and will be tried again')
      for (const id of ids) waiting.add(id)
      schedule(everyMs)
    }
  }

  function schedule(inMs: number): void {
    if (isDue || (timer && inMs > 0)) return
    clearTimeout(timer)
    isDue = inMs === 0
    timer = setTimeout(() => {
      writing = writing.then(write)
    }, inMs).unref()
  }

  return {
    note(id) {
      const now = Date.now()
      if (now - (notedAt.get(id) ?? 0) < resolutionMs) return
      notedAt.delete(id) // so that it becomes the newest
      if (notedAt.size >= remembered) notedAt.delete(notedAt.keys().next().value ?? '')
      notedAt.set(id, now)
      waiting.add(id)
      schedule(everyMs)
      clients.find(id).then(
        (client) => client?.isUnused && schedule(0),
        () => {}, // then it is written in a minute, as any other
      )
    },
    async stop() {
      await writing
      await write()
      clearTimeout(timer)
    },
  }
}

const authenticating = new Set([
  'token',
  'introspection',
  'revocation',
  'pushed_authorization_request',
  'device_authorization',
])

/** Notes whenever a client has authenticated, or somebody has signed in to it. */
export function noteUses(provider: Provider, uses: ClientUses): void {
  provider.use(async (ctx, next) => {
    await next()
    const { oidc } = ctx as Partial<KoaContextWithOIDC>
    if (!oidc?.client || ctx.status >= 400 || !authenticating.has(oidc.route)) return
    // Anybody can say that they are a public client. Only one that gets tokens has shown something.
    if (oidc.route === 'token' || oidc.client.clientAuthMethod !== 'none') uses.note(oidc.client.clientId)
  })
  provider.on('authorization.success', ({ oidc }) => {
    if (oidc.client) uses.note(oidc.client.clientId)
  })
}
