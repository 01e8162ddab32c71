import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Logger } from 'pino'
import { createBoundedMap } from '../../bounded-map.ts'
import type { Db } from '../../database/schema.ts'
import * as lifetimes from '../../stores/clients/lifetimes.ts'
import { addressOf } from '../endpoints.ts'
import type { ClientCache } from '../request/storage.ts'

export type ClientUses = {
  /**
   * Notes that a client was used now. Costs no time: it is written later, with others. `isProof` says that somebody signed
   * in to it or it got a token, which takes more than having registered.
   */
  note(id: string, isProof: boolean): void
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
  const noted = createBoundedMap<string, { atMs: number; isProof: boolean }>(remembered)
  const waiting = new Map<string, boolean>()
  let timer: NodeJS.Timeout | undefined
  let isDue = false
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    isDue = false
    const uses = [...waiting]
    const ids = uses.map(([id]) => id)
    const proven = uses.flatMap(([id, isProof]) => (isProof ? [id] : []))
    waiting.clear()
    if (ids.length === 0) return
    try {
      await lifetimes.noteUse(db, { ids, proven, usedAt: new Date() })
    } catch (error) {
      log.warn({ err: error }, 'the use of clients could not be noted, and will be tried again')
      for (const [id, isProof] of uses) waiting.set(id, isProof || waiting.get(id) === true)
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
    note(id, isProof) {
      const now = Date.now()
      const last = noted.get(id)
      if (last && now - last.atMs < resolutionMs && (last.isProof || !isProof)) return
      noted.set(id, { atMs: now, isProof })
      waiting.set(id, isProof || waiting.get(id) === true)
      schedule(everyMs)
      if (!isProof) return
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

/** Notes whenever a client has authenticated, or somebody has signed in to it. */
export function noteUses(provider: Provider, uses: ClientUses): void {
  provider.use(async (ctx, next) => {
    await next()
    const { oidc } = ctx as Partial<KoaContextWithOIDC>
    const address = addressOf(ctx.path)
    if (!oidc?.client || ctx.status >= 400 || !address?.authenticatesClient) return
    // Anybody can say that they are a public client. Only one that gets tokens has shown something; and whoever has just
    // registered can authenticate, which alone does not keep a client.
    const isProof = address.endpoint === 'token'
    if (isProof || oidc.client.clientAuthMethod !== 'none') uses.note(oidc.client.clientId, isProof)
  })
  provider.on('authorization.success', ({ oidc }) => {
    if (oidc.client) uses.note(oidc.client.clientId, true)
  })
}
