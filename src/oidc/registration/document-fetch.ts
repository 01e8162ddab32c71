import { errors } from 'oidc-provider'
import { networksOf, widestNetworkOf } from '../../authentication/networks.ts'
import { createBoundedMap } from '../../bounded-map.ts'
import { keyedHash } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { readDocument } from '../../registration/documents.ts'
import type { Metadata } from '../../registration/metadata.ts'
import type { Secret } from '../../secret.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'
import { withEngineErrors } from '../request/storage.ts'
import { current, type Work } from '../request/work.ts'
import { TooManyRequests } from '../too-many-requests.ts'

export type Documents = {
  /**
   * Reads the client metadata in the document at this address. Returns the same object until it fetches the document
   * again.
   */
  read(clientId: string, options: { isKnown: boolean }): Promise<Metadata>
}

type Kept = { metadata: Metadata; freshUntilMs: number; goodUntilMs: number }

const freshSeconds = { least: 300, most: 3_600 } // the bounds on what the web server of the document says
const staleSeconds = 3_600 // how much longer a document is used while it cannot be fetched
const remembered = 1_000 // documents
const largestBytes = 5_120 // draft-ietf-oauth-client-id-metadata-document-02 §8.7
const windowSeconds = 3_600
// Anyone can name an address, and could otherwise make the server send any number of requests to it. A part of each
// limit is reserved for networks that have named none yet.
const limits = {
  unknown: { perNetwork: 30, perEverybody: 300, reserved: 60 }, // for each host
  known: { perNetwork: 60, perEverybody: 600, reserved: 120 }, // for each document
}

/**
 * Creates the reader of client id metadata documents. It caches them as HTTP allows (RFC 9111 §4.2), within bounds
 * (draft §5.2). While a document cannot be fetched, the cached one is used for another hour, so that the users of a
 * client do not depend on its web server at every moment. Once it can be fetched, its new text counts at once.
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
   * Counts a request for a document, and returns how many seconds it has to wait. Documents that were accepted before
   * are counted separately, so that strangers cannot use up their share.
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
      return refused('could not be fetched') // only the log says why, or a stranger could explore what is at an address
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
      // The engine looks the client up once more to report the error. The document is not fetched again for that.
      const work = current()
      const failed = work && failures.get(work)
      if (failed?.clientId === clientId) throw failed.error
      try {
        // Each request has its own limits. If they were shared, a stranger over the limit would make all requests fail
        // that were sent at the same moment.
        const seconds = reading.has(clientId) ? 0 : await withEngineErrors(count(clientId, isKnown))
        // Another request may have read the document while this one was counted.
        const readMeanwhile = findFresh(clientId)
        if (readMeanwhile) return readMeanwhile.metadata
        if (seconds > 0) {
          const before = kept.get(clientId)
          if (before && Date.now() < before.goodUntilMs) return before.metadata
          throw new TooManyRequests('client id metadata documents were asked for', seconds)
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
 * Says whether an answer is labelled as JSON (draft §4). Web servers that store or repeat text for anyone rarely label
 * that text as JSON.
 */
function isJson({ headers }: Response): boolean {
  return /^application\/([\w!#$&^.+-]+\+)?json\s*(;|$)/i.test(headers.get('content-type') ?? '')
}

/** Creates the error of a document that does not define a client. */
export function refused(problem: string): errors.OIDCProviderError {
  return new errors.InvalidClient(`the client id metadata document ${problem}`)
}

/** Returns how many seconds an answer stays fresh: as its server says (RFC 9111 §4.2.1), within bounds. */
function freshnessOf(headers: Headers): number {
  const { least, most } = freshSeconds
  const maxAge = /(?:^|,)\s*max-age\s*=\s*"?(\d+)/i.exec(headers.get('cache-control') ?? '')?.[1]
  const expires = Date.parse(headers.get('expires') ?? '')
  const seconds = maxAge === undefined ? (expires - Date.now()) / 1000 : Number(maxAge)
  return Math.min(Math.max(seconds || 0, least), most)
}
