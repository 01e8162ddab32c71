import { createHash } from 'node:crypto'
import type { Found, LookUp } from './claims.ts'

/**
 * Remembers for some seconds what was found of a token. A token that is not good is asked about again each time, and
 * of requests with the same token at the same time one asks for all.
 *
 * The seconds count from the question, so that no revocation goes unnoticed for longer. Tokens are kept as hashes. What
 * is remembered belongs to this one `lookUp`: nobody who asks as somebody else, or for another API, gets to see it.
 */
export function cached(
  lookUp: LookUp,
  { cacheSeconds, cacheEntries }: { cacheSeconds: number; cacheEntries: number },
): LookUp {
  const known = new Map<string, { found: Found; until: number }>() // the one to forget first comes first
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
