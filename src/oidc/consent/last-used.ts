import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Logger } from 'pino'
import { createBoundedMap } from '../../bounded-map.ts'
import type { Db } from '../../database/schema.ts'
import * as grants from '../../stores/protocol/grants.ts'

export type GrantUses = {
  /** Records that an app used a grant now. It costs no time: it is written later, with others. */
  note(grantId: string): void
  /** Writes what was recorded. */
  stop(): Promise<void>
}

const resolutionMs = 86_400_000 // how precisely the last use of a grant is known
const everyMs = 60_000
const mostWaiting = 5_000 // grants in one statement
const remembered = 20_000

/** Creates the record of when grants were last used: once a day for each, and one statement a minute for all. */
export function createGrantUses({ db, log }: { db: Db; log: Logger }): GrantUses {
  const noted = createBoundedMap<string, number>(remembered)
  const waiting = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const ids = [...waiting]
    waiting.clear()
    if (ids.length === 0) return
    try {
      const now = Date.now()
      await grants.noteUse(db, { ids, usedAt: new Date(now), knownSince: new Date(now - resolutionMs) })
    } catch (error) {
      log.warn({ err: error }, 'the use of grants could not be recorded; the next use is tried again')
      for (const id of ids) noted.delete(id)
    }
  }

  function writeNow(): void {
    writing = writing.then(write)
  }

  return {
    note(id) {
      const now = Date.now()
      const last = noted.get(id)
      if (last !== undefined && now - last < resolutionMs) return
      noted.set(id, now)
      waiting.add(id)
      if (waiting.size === mostWaiting) writeNow()
      else timer ??= setTimeout(writeNow, everyMs).unref()
    },
    async stop() {
      await writing
      await write()
    },
  }
}

/** Records a use whenever somebody signs in to an app, or the app gets a token. */
export function noteGrantUses(provider: Provider, uses: GrantUses): void {
  const note = ({ oidc }: KoaContextWithOIDC) => {
    const grantId = oidc.entities.Grant?.jti
    if (grantId) uses.note(grantId)
  }
  provider.on('authorization.success', note)
  provider.on('grant.success', note)
}
