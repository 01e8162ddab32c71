import { AsyncLocalStorage } from 'node:async_hooks'
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
   * Records that a client was used now. It costs no time: it is written later, with others. `isProof` means that
   * somebody signed in to it or that it got a token, which shows more than its registration does.
   */
  note(id: string, isProof: boolean): void
  /** Writes what was recorded. */
  stop(): Promise<void>
}

const resolutionMs = 60 * 60_000 // how precisely the last use of a client is known
const everyMs = 60_000
const remembered = 20_000 // clients, as many as the cache keeps

/**
 * Creates the record of when clients were last used. It is written at most once a minute, in one statement for all
 * clients, and at most once an hour for each. The exception is a client that is to be removed as unused: the use that
 * keeps it is written at once.
 */
export function createClientUses({ db, clients, log }: { db: Db; clients: ClientCache; log: Logger }): ClientUses {
  const noted = createBoundedMap<string, { atMs: number; isProof: boolean }>(remembered)
  const waiting = new Map<string, boolean>()
  // A timer carries along the work of the request that started it. Writing is no part of that request.
  const outsideRequests = AsyncLocalStorage.snapshot()
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
      log.warn({ err: error }, 'the use of clients could not be recorded; it will be tried again')
      for (const [id, isProof] of uses) waiting.set(id, isProof || waiting.get(id) === true)
      schedule(everyMs)
    }
  }

  function schedule(inMs: number): void {
    if (isDue || (timer && inMs > 0)) return
    clearTimeout(timer)
    isDue = inMs === 0
    timer = outsideRequests(() =>
      setTimeout(() => {
        writing = writing.then(write)
      }, inMs).unref(),
    )
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
        () => {}, // then it is written within a minute, as any other
      )
    },
    async stop() {
      await writing
      await write()
      clearTimeout(timer)
    },
  }
}

/** Records a use whenever a client has authenticated, or somebody has signed in to it. */
export function noteUses(provider: Provider, uses: ClientUses): void {
  provider.use(async (ctx, next) => {
    await next()
    const { oidc } = ctx as Partial<KoaContextWithOIDC>
    const address = addressOf(ctx.path)
    if (!oidc?.client || ctx.status >= 400 || !address?.authenticatesClient) return
    // Anybody can name a public client, so only one that gets tokens has shown anything. Anybody who has just
    // registered can authenticate, which alone does not keep a client.
    const isProof = address.endpoint === 'token'
    if (isProof || oidc.client.clientAuthMethod !== 'none') uses.note(oidc.client.clientId, isProof)
  })
  provider.on('authorization.success', ({ oidc }) => {
    if (oidc.client) uses.note(oidc.client.clientId, true)
  })
}
