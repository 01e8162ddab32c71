import { sha256 } from '../../crypto/digests.ts'
import * as accounts from '../../stores/people/accounts.ts'
import * as artifacts from '../../stores/protocol/artifacts.ts'
import * as sessions from '../../stores/protocol/sessions.ts'
import type { Back } from '../../views/back.ts'
import type { ErrorCode } from '../../views/texts/index.ts'
import { isOwn } from './own-interaction.ts'
import { fromStored } from './payloads.ts'
import type { Storage } from './storage.ts'
import { current } from './work.ts'

/** A sign-in that cannot continue: the page that says why, and a link back to the app. */
export type StoppedSignIn = { page: ErrorCode; back: Back | undefined }

/**
 * Creates the function that finds out what to tell a person whose sign-in cannot continue, and where to send them. The
 * request is gone and the relying party cannot be answered, but the rest of the interaction shows which client it was.
 */
export function createFindStoppedSignIn({ storage }: { storage: Storage }) {
  const { db, clients } = storage

  return async (uid: string): Promise<StoppedSignIn> => {
    const found = await artifacts.findInteraction(db, sha256(uid))
    const client = found?.clientId ? await clients.find(found.clientId) : undefined
    const page = found?.isDestroyed
      ? 'already-done'
      : found?.isLive
        ? await reasonOf(uid, found.payload, client)
        : 'expired'
    if (!client) return { page, back: undefined }
    const { client_name: name, initiate_login_uri, client_uri } = client.metadata
    return { page, back: backTo([initiate_login_uri, client_uri], { name, isReviewed: !client.isDynamic }) }
  }

  /**
   * Returns why an interaction that still exists cannot continue. Only the browser where it began learns what happened
   * to it.
   */
  async function reasonOf(uid: string, payload: Record<string, unknown>, client: unknown): Promise<ErrorCode> {
    const { browser } = current() ?? {}
    if (browser?.presented.length === 0) return 'no-cookies'
    const interaction = fromStored(storage, { model: 'Interaction', idHash: sha256(uid), payload }, uid)
    if (!isOwn(interaction)) return 'other-browser'
    if (!client) return 'app-gone'
    const { session } = interaction as { session?: { uid?: string; accountId?: string } }
    if (!session?.uid || !session.accountId) return 'other-browser'
    const account = await accounts.findById(db, session.accountId)
    if (!account || account.isDisabled) return 'account-gone'
    return (await sessions.findByUid(db, session.uid))?.accountId === account.id ? 'other-browser' : 'signed-out'
  }
}

/**
 * Returns a link to the first of these URIs that is on the web. A stranger can register any address under any name, so
 * a link to a client that nobody reviewed shows the host.
 */
export function backTo(
  uris: readonly unknown[],
  { name, isReviewed }: { name: unknown; isReviewed: boolean },
): Back | undefined {
  const href = uris.find((uri) => typeof uri === 'string' && /^https?:/.test(uri))
  const url = typeof href === 'string' ? URL.parse(href) : null
  return url ? { href: url.href, name: isReviewed && name ? String(name) : url.host } : undefined
}

export type FindStoppedSignIn = ReturnType<typeof createFindStoppedSignIn>
