import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import type { Fetch } from './processes.ts'

/** A relying party that caches the provider's keys for exactly as long as it may (RFC 9111 §5.2.2.1). */
export type CachingRelyingParty = {
  /** Verifies with the cached keys and no others: an unknown `kid` is a failure. */
  verify(jwt: string): Promise<JWTPayload>
  /** How often it requested the keys, and how often the answer forbade caching. */
  readonly asked: { times: number; notToRemember: number }
}

/**
 * Creates the strictest relying party: every other one accepts what it accepts. OpenID Connect Core §10.1.1 has a
 * verifier fetch the keys again at an unknown `kid`. Many do so rarely or never, and this one never does.
 */
export function createCachingRelyingParty({
  issuer,
  fetch,
  cacheSeconds,
}: {
  issuer: string
  fetch: Fetch
  /** The cache time that the provider is expected to allow. */
  cacheSeconds: number
}): CachingRelyingParty {
  const asked = { times: 0, notToRemember: 0 }
  let remembered: { keys: Promise<ReturnType<typeof createLocalJWKSet>>; untilMs: number } | undefined

  async function ask(): Promise<ReturnType<typeof createLocalJWKSet>> {
    const response = await fetch(`${issuer}/oauth/jwks`)
    const control = response.headers.get('cache-control')
    const keys = (await response.json()) as JSONWebKeySet
    if (response.status !== 200) throw new Error(`the keys were answered with ${response.status}`)
    if (control !== `public, max-age=${cacheSeconds}` && control !== 'no-store') {
      throw new Error(`the keys came with Cache-Control: ${control}`)
    }
    asked.times += 1
    if (control === 'no-store') asked.notToRemember += 1
    if (remembered) remembered.untilMs = control === 'no-store' ? 0 : Date.now() + cacheSeconds * 1000
    return createLocalJWKSet(keys)
  }

  return {
    asked,
    async verify(jwt) {
      if (!remembered || Date.now() >= remembered.untilMs) {
        remembered = { keys: Promise.resolve().then(ask), untilMs: Number.POSITIVE_INFINITY } // shared by all who wait
        remembered.keys.catch(() => {
          remembered = undefined
        })
      }
      const { payload } = await jwtVerify(jwt, await remembered.keys, { issuer })
      return payload
    },
  }
}
