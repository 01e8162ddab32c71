import { decodeJwt } from 'jose'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Client } from '../engine.ts'
import { isOidcScope } from '../scopes.ts'
import { oidcScopes } from './client-scopes.ts'

/**
 * Settles the scope of an authorization request after its parameters are checked, and before anybody sees a page.
 *
 * Without `scope` it is what the client is registered for. A request with nothing left is rejected (RFC 6749 §3.3):
 * otherwise the consent page would be empty, and the client would not learn why.
 */
export function settleScope(ctx: KoaContextWithOIDC, client: Client): void {
  const { params = {}, resourceServers = {} } = ctx.oidc
  const asked = requestedScopes(ctx)
  const isOmitted = asked.length === 0 && params['scope'] === undefined
  const wanted = isOmitted ? words(client.scope) : [...words(params['scope']), ...asked.filter(isOffline)]
  const isOfApi = (name: string) => Object.values(resourceServers).some(({ scopes }) => scopes.has(name))
  const left = wanted.filter((name) =>
    isOffline(name) ? mayAskForOfflineAccess(ctx, client) : isOidcScope(name) || isOfApi(name),
  )
  if (left.every(isOffline)) {
    const hint = 'send scope=openid, or the scopes of an API together with its resource'
    const why = isOmitted ? 'this client has no default scope' : 'this client has no such scope'
    throw new errors.InvalidScope(`${why}: ${hint}`, '')
  }
  params['scope'] = [...new Set(left)].join(' ')
}

/**
 * Returns whether the consent page may show `offline_access`. The engine drops it from requests without
 * `prompt=consent`. Here the page shows it whenever it is undecided, and the person's tick is the other condition of
 * OpenID Connect Core §11. For a first-party client the administrator answers.
 */
function mayAskForOfflineAccess({ oidc: { params = {} } }: KoaContextWithOIDC, client: Client): boolean {
  return (
    client.grantTypeAllowed('refresh_token') &&
    words(params['response_type'] ?? 'code').includes('code') &&
    oidcScopes(client, ['offline_access']).length > 0
  )
}

/**
 * Returns the scopes as the client sent them. A request object, which was verified, replaces the parameters (RFC 9101
 * §5).
 */
function requestedScopes({ oidc, query }: KoaContextWithOIDC): string[] {
  const pushed = oidc.entities.PushedAuthorizationRequest as { request?: string } | undefined
  const { request, scope }: { request?: unknown; scope?: unknown } = pushed ?? oidc.body ?? query
  if (typeof request !== 'string') return words(scope)
  try {
    return words(decodeJwt(request)['scope'])
  } catch {
    return [] // it is encrypted and cannot be read here: `offline_access` then needs `prompt=consent`
  }
}

const isOffline = (name: string) => name === 'offline_access'
const words = (text: unknown) => (typeof text === 'string' ? text.split(' ').filter(Boolean) : [])
