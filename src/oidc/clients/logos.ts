import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Db } from '../../database/schema.ts'
import { readImage } from '../../images/formats.ts'
import * as store from '../../stores/clients/logos.ts'

export type Logos = {
  /**
   * Returns the hash of a client's logo, if it is here. A logo that is missing is fetched in the background, for the
   * next page.
   */
  of(clientId: string, uri: string): Promise<string | undefined>
}

const largestPixels = 1_024 // each way; a page shows 56
const triedAgainAfterMs = 24 * 3_600_000

/**
 * Fetches the logos of clients (OpenID Connect Registration 1.0 §2) once, and serves them from here: if browsers
 * fetched them, each app's server would learn who looks at it, and when.
 */
export function createLogos({ db, fetch: get, log }: { db: Db; fetch: typeof globalThis.fetch; log: Logger }): Logos {
  const fetching = new Set<string>()

  async function read(uri: string): Promise<store.Logo['image']> {
    const response = await get(uri, {
      headers: { accept: 'image/png, image/jpeg, image/webp, image/gif' },
      redirect: 'manual',
    })
    if (response.status !== 200) throw new Error(`its server answered ${response.status}`)
    const bytes = Buffer.from(await response.arrayBuffer())
    const image = readImage(bytes)
    if (!image) throw new Error('it is no PNG, JPEG, GIF or WebP')
    if (Math.max(image.width, image.height) > largestPixels) {
      throw new Error(`it has ${image.width} × ${image.height} pixels; the maximum is ${largestPixels} each way`)
    }
    return { hash: createHash('sha256').update(bytes).digest('hex'), type: image.type, bytes }
  }

  async function load(clientId: string, uri: string): Promise<void> {
    const image = await read(uri).catch((error: unknown) => {
      log.warn({ err: error, clientId }, 'the logo of a client cannot be shown')
      return undefined
    })
    await db.transaction().execute((tx) => store.save(tx, { clientId, uri, image }))
  }

  return {
    async of(clientId, uri) {
      const found = await store.find(db, clientId, uri)
      if (found?.hash !== undefined) return found.hash
      const isDue = !found || Date.now() - found.fetchedAtMs > triedAgainAfterMs
      if (isDue && !fetching.has(clientId)) {
        fetching.add(clientId)
        load(clientId, uri)
          .catch((error: unknown) => log.warn({ err: error, clientId }, 'the logo of a client could not be kept'))
          .finally(() => fetching.delete(clientId))
      }
      return undefined
    },
  }
}
