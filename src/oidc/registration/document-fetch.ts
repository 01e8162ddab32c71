import { errors } from 'oidc-provider'
import { networksOf, widestNetworkOf } from '../../authentication/networks.ts'
import { createBoundedMap } from '../../bounded-map.ts'
import { keyedHash } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { readDocument } from '../../registration/documents.ts'
import type { Metadata } from '../../registration/metadata.ts'
import type { Secret } from '../../secret.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'
import { translated } from '../request/storage.ts'
import { current, type Work } from '../request/work.ts'
import { TooMany } from '../too-many.ts'

export type Documents = {
  /** What the document at this address says, as far as it is client metadata. The same object until that is asked anew. */
  read(clientId: string, options: { isKnown: boolean }): Promise<Metadata>
}

type Kept = { metadata: Metadata; freshUntilMs: number; goodUntilMs: number }

const freshSeconds = { least: 300, most: 3_600 } // whatever the document's server says
const staleSeconds = 3_600 // how much longer a document is good for while it cannot be read again
const remembered = 1_000 // documents
const largestBytes = 5_120 // draft-ietf-oauth-client-id-metadata-document-02 §8.7
const windowSeconds = 3_600
// Anybody can name an address to be fetched, and would otherwise have any number of requests sent to it. A part is for
// networks from which none was asked for yet.
const limits = {
  unknown: { perNetwork: 30, perEverybody: 300, reserved: 60 }, // of each host
  known: { perNetwork: 60, perEverybody: 600, reserved: 120 }, // of each document
}

/**
 * Reads client id metadata documents, and keeps what they say for as long as HTTP caching allows (RFC 9111 §4.2), within
 * bounds (draft §5.2). While it cannot be read again, what was read before stays good for another hour, so that who uses
 * the client does not depend on every moment of its web server. What it says once it can be read counts at once.
 */
export function createDocuments({
  db,
  throttleKey,
  fetch: get,
}: {
  db: Db
  throttleKey: Secret<Buffer>
  fetch: typeof globalThis.fetch
}): Documents {
  const kept = createBoundedMap<string, Kept>(remembered)
  const reading = new Map<string, Promise<Kept>>()
  const failures = new WeakMap<Work, { clientId: string; error: unknown }>()
  const keyHash = (...about: string[]) => keyedHash(throttleKey, ['client id metadata document', ...about].join('\0'))

  /**
   * Counts a request for a document, and says how many seconds there are to wait. Those that were accepted before are
   * counted apart: strangers do not use up what is for them.
   */
  async function count(clientId: string, isKnown: boolean): Promise<number> {
    const { perNetwork, perEverybody, reserved } = isKnown ? limits.known : limits.unknown
    const address = current()?.address ?? ''
    const about = isKnown ? [clientId] : []
    const ofNetworks = networksOf(address).map(({ network, allowance }) => ({
      keyHash: keyHash('of', network, ...about),
      most: perNetwork * allowance,
    }))
    const seconds = await rateLimits.take(db, { limits: ofNetworks, windowSeconds })
    if (seconds > 0) return seconds
    const target = isKnown ? clientId : new URL(clientId).host
    return rateLimits.takeShared(db, {
      own: keyHash('asked by', widestNetworkOf(address), target),
      everyone: { keyHash: keyHash('everyone', target), most: perEverybody, reserved },
      windowSeconds,
    })
  }

  async function ask(clientId: string): Promise<Response | errors.OIDCProviderError> {
    try {
      const response = await get(clientId, { headers: { accept: 'application/json' }, redirect: 'manual' })
      return response.status === 200 ? response : refused('could not be fetched')
    } catch {
      return refused('could not be fetched') // why is in the log: who named the address is not told what is there
    }
  }

  async function load(clientId: string): Promise<Kept> {
    const before = kept.get(clientId)
    const now = Date.now()
    const answer = await ask(clientId)
    if (!(answer instanceof Response)) {
      if (!before || now > before.goodUntilMs) throw answer
      before.freshUntilMs = now + freshSeconds.least * 1000
      return before
    }
    kept.delete(clientId)
    if (!isJson(answer)) throw refused('must be served as application/json')
    const body = Buffer.from(await answer.arrayBuffer())
    if (body.length > largestBytes) throw refused(`is longer than ${largestBytes} bytes`)
    const document = readDocument(clientId, body.toString())
    if ('problem' in document) throw refused(document.problem)
    const freshUntilMs = now + freshnessOf(answer.headers) * 1000
    const read = { ...document, freshUntilMs, goodUntilMs: freshUntilMs + staleSeconds * 1000 }
    kept.set(clientId, read)
    return read
  }

  function findFresh(clientId: string): Kept | undefined {
    const found = kept.get(clientId)
    return found && Date.now() < found.freshUntilMs ? found : undefined
  }

  return {
    async read(clientId, { isKnown }) {
      const fresh = findFresh(clientId)
      if (fresh) return fresh.metadata
      // The engine looks a client up again to tell it what went wrong. That is no reason to ask again.
      const work = current()
      const failed = work && failures.get(work)
      if (failed?.clientId === clientId) throw failed.error
      try {
        // Each request is held to its own limits, and waits for no other's: a stranger who is over theirs would be refused
        // together with everybody who asked at the same moment.
        const seconds = reading.has(clientId) ? 0 : await translated(count(clientId, isKnown))
        // Another request may have read it while this one was counted.
        const readMeanwhile = findFresh(clientId)
        if (readMeanwhile) return readMeanwhile.metadata
        if (seconds > 0) {
          const before = kept.get(clientId)
          if (before && Date.now() < before.goodUntilMs) return before.metadata
          throw new TooMany('client id metadata documents were asked for', seconds)
        }
        const pending = reading.get(clientId) ?? load(clientId).finally(() => reading.delete(clientId))
        reading.set(clientId, pending)
        return (await pending).metadata
      } catch (error) {
        if (work) failures.set(work, { clientId, error })
        throw error
      }
    },
  }
}

/**
 * Whether a server says that this is JSON (draft §4). Where anybody can store a file or have text repeated, it rarely says
 * so of theirs.
 */
function isJson({ headers }: Response): boolean {
  return /^application\/([\w!#$&^.+-]+\+)?json\s*(;|$)/i.test(headers.get('content-type') ?? '')
}

/** Why a document makes no client. */
export function refused(problem: string): errors.OIDCProviderError {
  return new errors.InvalidClient(`the client id metadata document ${problem}`)
}

/** For how many seconds an answer is good, by what its server says (RFC 9111 §4.2.1) and within bounds. */
function freshnessOf(headers: Headers): number {
  const { least, most } = freshSeconds
  const maxAge = /(?:^|,)\s*max-age\s*=\s*"?(\d+)/i.exec(headers.get('cache-control') ?? '')?.[1]
  const expires = Date.parse(headers.get('expires') ?? '')
  const seconds = maxAge === undefined ? (expires - Date.now()) / 1000 : Number(maxAge)
  return Math.min(Math.max(seconds || 0, least), most)
}
