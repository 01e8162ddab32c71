import { sha256 } from '../crypto/digests.ts'
import type { Db } from '../database/schema.ts'
import * as artifacts from '../stores/artifacts.ts'
import type { Back, ErrorCode } from '../views.ts'
import type { ClientCache } from './clients.ts'

export type WayBack = { page: ErrorCode; back: Back | undefined }

/**
 * What to tell someone whose sign-in cannot go on, and where to send them. The request is gone and the
 * relying party cannot be answered, but what is left of the interaction tells which one it was.
 */
export function createWayBack({ db, clients }: { db: Db; clients: ClientCache }) {
  return async (uid: string): Promise<WayBack> => {
    const found = await artifacts.findInteraction(db, sha256(uid))
    const client = found?.clientId ? await clients.find(found.clientId) : undefined
    const page = found?.isDestroyed ? 'already-done' : found?.isLive ? 'other-browser' : 'expired'
    if (!client) return { page, back: undefined }
    const { client_name: name, initiate_login_uri, client_uri } = client.metadata
    return { page, back: backTo([initiate_login_uri, client_uri], { name, isReviewed: !client.isDynamic }) }
  }
}

/**
 * A link to the first of these that leads to the web. A stranger can have people sent anywhere, under any name: there the
 * link says where it leads.
 */
export function backTo(
  uris: readonly unknown[],
  { name, isReviewed }: { name: unknown; isReviewed: boolean },
): Back | undefined {
  const href = uris.find((uri) => typeof uri === 'string' && /^https?:/.test(uri))
  const url = typeof href === 'string' ? URL.parse(href) : null
  return url ? { href: url.href, label: `Back to ${isReviewed && name ? String(name) : url.host}` } : undefined
}

export type FindWayBack = ReturnType<typeof createWayBack>
