import { errors, type KoaContextWithOIDC, type ResponseType } from 'oidc-provider'
import { scopes } from './scopes.ts'

/**
 * Asks again, when a request goes on after a page, what the engine asks only when it arrives: the client may be another by
 * then. A removed redirect URI gets no answer, not even an error (RFC 6749 §4.1.2.1).
 *
 * @throws errors.InvalidRedirectUri, errors.InvalidRequest or errors.InvalidScope, as the engine does at first.
 */
export function assertStillAllowed({ oidc: { client, params } }: KoaContextWithOIDC): void {
  const { redirect_uri: redirectUri, response_type: responseType, scope } = params ?? {}
  if (!client) return
  if (typeof redirectUri === 'string' && !client.redirectUriAllowed(redirectUri)) throw new errors.InvalidRedirectUri()
  if (typeof responseType === 'string' && !client.responseTypeAllowed(responseType as ResponseType)) {
    throw new errors.InvalidRequest('requested response_type is not allowed for this client')
  }
  const allowed = client.scope?.split(' ')
  const refused = String(scope ?? '')
    .split(' ')
    .find((name) => Object.hasOwn(scopes, name) && allowed && !allowed.includes(name))
  if (refused !== undefined) throw new errors.InvalidScope('requested scope is not allowed', refused)
}
