import type { Middleware } from 'koa'
import * as oidc from 'openid-client'

export type Caller = oidc.IntrospectionResponse

type Refusal = { status: number; error?: string; description?: string; scope?: string }

/**
 * Makes the middleware that guards a route: it lets a request through that has an access token for this API with
 * the scope, and puts what is known of the caller in `ctx.state.caller`.
 *
 * @param config the provider, and the client that this API introspects tokens as
 * @param resource the identifier of this API: tokens for another are refused (RFC 8707 §2)
 */
export function createRequireScope({ config, resource }: { config: oidc.Configuration; resource: string }) {
  const { issuer } = config.serverMetadata()

  /** What is known of a token, if it is good here and now (RFC 7662 §4). */
  async function introspect(token: string): Promise<Caller | undefined> {
    const found = await oidc.tokenIntrospection(config, token, { token_type_hint: 'access_token' })
    const now = Date.now() / 1000
    const isForUs = [found.aud ?? []].flat().includes(resource) && (found.iss === undefined || found.iss === issuer)
    const isInTime = (found.exp ?? 0) > now && (found.nbf ?? 0) <= now
    // A token bound to a key is worth nothing without proof of it, which this API does not check (RFC 9449 §7.1).
    const isBearer = found['cnf'] === undefined && (found.token_type ?? 'Bearer').toLowerCase() === 'bearer'
    return found.active && isForUs && isInTime && isBearer ? found : undefined
  }

  return (scope: string): Middleware =>
    async (ctx, next) => {
      const refuse = ({ status, ...challenge }: Refusal) => {
        ctx.status = status
        ctx.set('WWW-Authenticate', challengeOf(challenge))
        ctx.body = { error: challenge.error ?? 'unauthorized', error_description: challenge.description }
      }
      ctx.set('Cache-Control', 'no-store')

      const [scheme = '', token, ...rest] = ctx.get('Authorization').split(' ')
      // Whoever brings no token learns only that one is needed (RFC 6750 §3.1).
      if (scheme.toLowerCase() !== 'bearer') return refuse({ status: 401 })
      if (!token || rest.length > 0 || !/^[\w.~+/-]+=*$/.test(token)) {
        return refuse({ status: 400, error: 'invalid_request', description: 'The Authorization header is malformed' })
      }

      let caller: Caller | undefined
      try {
        caller = await introspect(token)
      } catch (error) {
        console.error('Introspection failed:', error)
        ctx.status = 503 // not the caller's fault: a 401 would make them throw away a good token
        ctx.set('Retry-After', '5')
        ctx.body = { error: 'temporarily_unavailable' }
        return
      }
      if (!caller) {
        return refuse({ status: 401, error: 'invalid_token', description: 'The token is not good for this API' })
      }
      if (!caller.scope?.split(' ').includes(scope)) {
        const description = `This needs the scope ${scope}`
        return refuse({ status: 403, error: 'insufficient_scope', description, scope })
      }
      ctx.state['caller'] = caller
      await next()
    }
}

/** The header that says why (RFC 6750 §3). */
function challengeOf({ error, description, scope }: Omit<Refusal, 'status'>): string {
  const parameters = { realm: 'api', error, error_description: description, scope }
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  return `Bearer ${given.map(([name, value]) => `${name}="${value}"`).join(', ')}`
}
