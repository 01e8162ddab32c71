import { createHash } from 'node:crypto'
import type { Found, LookUp } from './claims.ts'

/**
 * Wraps a look-up so that it remembers for some seconds what it found. A token that is not valid is looked up again
 * each time. Requests with the same token at the same time share one look-up.
 *
 * The seconds count from the start of the look-up, so that no revocation goes unnoticed for longer. Tokens are kept as
 * hashes. The memory belongs to this one `lookUp`: another client, or another API, never sees it.
 */
export function cached(
  lookUp: LookUp,
  { cacheSeconds, cacheEntries }: { cacheSeconds: number; cacheEntries: number },
): LookUp {
  const known = new Map<string, { found: Found; until: number }>() // the first to be forgotten comes first
  const asking = new Map<string, Promise<Found | undefined>>()

  async function ask(token: string, key: string): Promise<Found | undefined> {
    const until = performance.now() + cacheSeconds * 1_000
    try {
      const found = await lookUp(token)
      known.delete(key)
      if (found) known.set(key, { found, until })
      forget()
      return found
    } finally {
      asking.delete(key)
    }
  }

  function forget(): void {
    for (const [key, { until }] of known) {
      if (until > performance.now() && known.size <= cacheEntries) return
      known.delete(key)
    }
  }

  return async (token) => {
    const key = createHash('sha256').update(token).digest('base64url')
    const remembered = known.get(key)
    if (remembered && remembered.until > performance.now()) return structuredClone(remembered.found)
    const answer = asking.get(key) ?? ask(token, key)
    asking.set(key, answer)
    return structuredClone(await answer) // a copy for each request: its handler may change it
  }
}
