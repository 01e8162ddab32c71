import Provider, { errors, type KoaContextWithOIDC, type ResponseType } from 'oidc-provider'
import { scopes } from '../scopes.ts'

/**
 * Asks again, before anything else when a request goes on after a page, whether the client still has the redirect URI. One
 * that was removed gets no answer, not even an error (RFC 6749 §4.1.2.1) such as that the person refused.
 *
 * @throws errors.InvalidRedirectUri, as the engine does at first.
 */
export async function assertStillReturns({ params }: { params?: Record<string, unknown> }): Promise<void> {
  const { client_id: id, redirect_uri: redirectUri } = params ?? {}
  const client = await Provider.ctx?.oidc?.provider.Client.find(String(id))
  if (client && typeof redirectUri === 'string' && !client.redirectUriAllowed(redirectUri)) {
    throw new errors.InvalidRedirectUri()
  }
}

/**
 * Asks again what else the engine asks only when a request arrives: the client may be another by then.
 *
 * @throws errors.InvalidRequest or errors.InvalidScope, as the engine does at first.
 */
export function assertStillAllowed({ oidc: { client, params } }: KoaContextWithOIDC): void {
  const { response_type: responseType, scope } = params ?? {}
  if (!client) return
  if (typeof responseType === 'string' && !client.responseTypeAllowed(responseType as ResponseType)) {
    throw new errors.InvalidRequest('requested response_type is not allowed for this client')
  }
  const allowed = client.scope?.split(' ')
  const refused = String(scope ?? '')
    .split(' ')
    .find((name) => Object.hasOwn(scopes, name) && allowed && !allowed.includes(name))
  if (refused !== undefined) throw new errors.InvalidScope('requested scope is not allowed', refused)
}
