import { type CryptoKey, createRemoteJWKSet, type JWTVerifyGetKey } from 'jose'

export type AuthorizationServer = {
  /** Finds the published key that the header of a JWT names. */
  findKey: FindKey
  introspectionEndpoint(): Promise<URL>
  /** Sends a request. Rejects when the answer takes too long, or is a redirect. */
  send(url: URL, init?: RequestInit): Promise<Response>
}

type FindKey = (...header: Parameters<JWTVerifyGetKey>) => Promise<CryptoKey>
type Metadata = Record<string, unknown>

const freshMs = 3_600_000 // endpoints hardly ever move
const retryMs = 60_000 // after a failure, while the earlier metadata stay in use

/** Creates the authorization server as this API uses it. Its metadata are fetched when they are first needed. */
export function createAuthorizationServer({
  issuer,
  timeoutMs,
}: {
  issuer: string
  timeoutMs: number
}): AuthorizationServer {
  let metadata: Promise<Metadata> | undefined
  let freshUntil = 0
  let keys: { url: string; find: FindKey } | undefined

  const send: AuthorizationServer['send'] = (url, init = {}) =>
    fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })

  function current(): Promise<Metadata> {
    if (metadata && performance.now() < freshUntil) return metadata
    const before = metadata
    freshUntil = performance.now() + freshMs
    metadata = discover(issuer, send).catch((error) => {
      metadata = before
      freshUntil = performance.now() + retryMs
      if (before) return before
      throw error
    })
    return metadata
  }

  async function endpoint(name: string): Promise<URL> {
    const url = URL.parse(String((await current())[name]))
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && issuer.startsWith('http:'))
    if (!url || !isSafe) throw new Error(`The metadata of ${issuer} have no ${name} that can be used`)
    return url
  }

  return {
    send,

    introspectionEndpoint: () => endpoint('introspection_endpoint'),

    async findKey(header, token) {
      const url = await endpoint('jwks_uri')
      if (keys?.url !== url.href) {
        keys = { url: url.href, find: createRemoteJWKSet(url, { timeoutDuration: timeoutMs }) }
      }
      return keys.find(header, token)
    },
  }
}

/** Fetches the metadata from where RFC 8414 §3 puts them, and otherwise from where OpenID Connect Discovery §4 does. */
async function discover(issuer: string, send: AuthorizationServer['send']): Promise<Metadata> {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const places = [`/.well-known/oauth-authorization-server${path}`, `${path}/.well-known/openid-configuration`]
  for (const place of places) {
    const response = await send(new URL(place, origin), { headers: { accept: 'application/json' } })
    if (response.status === 200) {
      const metadata = (await response.json()) as Metadata | null
      // RFC 8414 §3.3: otherwise another server's keys and endpoints could pass for its own.
      if (metadata?.['issuer'] !== issuer)
        throw new Error(`The metadata at ${origin}${place} are not those of ${issuer}`)
      return metadata
    }
    await response.body?.cancel()
    if (response.status >= 500) throw new Error(`${issuer} answered ${response.status} when asked for its metadata`)
  }
  throw new Error(`${issuer} publishes no metadata`)
}
