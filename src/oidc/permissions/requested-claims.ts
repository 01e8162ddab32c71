import type { KoaContextWithOIDC } from 'oidc-provider'
import { mayHaveClaim, type Registered } from './client-scopes.ts'

/**
 * Removes the claims that the client is not registered for from those that a request names. The client's `scope` bounds
 * what it learns about a person, however it asks. A claim that is not returned is not an error (OpenID Connect Core
 * §5.5.1).
 */
export function narrowClaims({ oidc: { params = {} } }: KoaContextWithOIDC, client: Registered): void {
  const { claims } = params
  if (typeof claims !== 'string' || client.scope === undefined) return
  const { userinfo, id_token, ...others } = JSON.parse(claims) as Record<string, Record<string, unknown> | undefined>
  const narrowed = (asked: Record<string, unknown> | undefined) =>
    asked && Object.fromEntries(Object.entries(asked).filter(([name]) => mayHaveClaim(client, name)))
  params['claims'] = JSON.stringify({ ...others, userinfo: narrowed(userinfo), id_token: narrowed(id_token) })
}
