import Provider, { errors, type KoaContextWithOIDC, type ResponseType } from 'oidc-provider'
import { scopes } from '../scopes.ts'

/**
 * Checks again, before a request continues after a page, that the client still has the redirect URI. A removed one gets
 * no answer, not even an error (RFC 6749 §4.1.2.1) such as that the person refused.
 *
 * @throws errors.InvalidRedirectUri, as the engine does when the request arrives.
 */
export async function assertStillReturns({ params }: { params?: Record<string, unknown> }): Promise<void> {
  const { client_id: id, redirect_uri: redirectUri } = params ?? {}
  const client = await Provider.ctx?.oidc?.provider.Client.find(String(id))
  if (client && typeof redirectUri === 'string' && !client.redirectUriAllowed(redirectUri)) {
    throw new errors.InvalidRedirectUri()
  }
}

/**
 * Checks again what else the engine checks only when a request arrives, because the client may have changed since.
 *
 * @throws errors.InvalidRequest or errors.InvalidScope, as the engine does when the request arrives.
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
