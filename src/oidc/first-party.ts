import { decodeJwt } from 'jose'
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'

type Client = InstanceType<Provider['Client']>

/** Whether the operator answers for a client, so that nobody is asked whether they trust it. */
export function isFirstParty(client: { [member: string]: unknown }): boolean {
  return client['first_party'] === true
}

/**
 * Gives a first-party client back the `offline_access` that it asked for. The engine drops it where the person is not
 * asked for consent; with such a client, that the operator answers for it is the other condition of OpenID Connect
 * Core §11. Called once the parameters of an authorization request are checked.
 */
export function permitOfflineAccess({ oidc, query }: KoaContextWithOIDC, _scope: unknown, client: Client): void {
  const { params = {} } = oidc
  const isPossible =
    isFirstParty(client) &&
    client.grantTypeAllowed('refresh_token') &&
    words(params['response_type'] ?? 'code').includes('code') &&
    (client.scope === undefined || words(client.scope).includes('offline_access'))
  if (!isPossible) return

  const pushed = oidc.entities.PushedAuthorizationRequest as { request?: string } | undefined
  const asked = words(requestedScope(pushed ?? oidc.body ?? query))
  if (asked.includes('offline_access'))
    params['scope'] = [...new Set([...words(params['scope']), 'offline_access'])].join(' ')
}

/** The scope as it was before the engine looked at it. A request object counts alone, and was verified (RFC 9101 §5). */
function requestedScope({ request, scope }: { request?: unknown; scope?: unknown }): unknown {
  if (typeof request !== 'string') return scope
  try {
    return decodeJwt(request)['scope']
  } catch {
    return undefined // encrypted, and so not readable here: then it takes `prompt=consent`
  }
}

const words = (text: unknown) => (typeof text === 'string' ? text.split(' ') : [])
