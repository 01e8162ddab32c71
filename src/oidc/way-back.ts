import { sha256 } from '../crypto/digests.ts'
import type { Db } from '../database/schema.ts'
import * as artifacts from '../stores/artifacts.ts'
import type { ErrorCode } from '../views.ts'
import type { ClientCache } from './clients.ts'

export type WayBack = { page: ErrorCode; back: { href: string; label: string } | undefined }

/**
 * What to tell someone whose sign-in cannot go on, and where to send them. The request is gone and the
 * relying party cannot be answered, but what is left of the interaction tells which one it was.
 */
export function createWayBack({ db, clients }: { db: Db; clients: ClientCache }) {
  return async (uid: string): Promise<WayBack> => {
    const found = await artifacts.findInteraction(db, sha256(uid))
    const metadata = found?.clientId ? (await clients.find(found.clientId))?.metadata : undefined
    const href = [metadata?.['initiate_login_uri'], metadata?.['client_uri']].find(
      (uri) => typeof uri === 'string' && /^https?:/.test(uri),
    )
    const page = found?.isDestroyed ? 'already-done' : found?.isLive ? 'other-browser' : 'expired'
    if (typeof href !== 'string') return { page, back: undefined }
    return { page, back: { href, label: `Back to ${String(metadata?.['client_name'] ?? new URL(href).host)}` } }
  }
}

export type FindWayBack = ReturnType<typeof createWayBack>
