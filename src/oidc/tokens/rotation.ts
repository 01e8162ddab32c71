import type { KoaContextWithOIDC } from 'oidc-provider'
import { isFapi } from '../fapi.ts'
import { hashOf } from '../request/payloads.ts'
import { current } from '../request/work.ts'

/**
 * Whether a refresh token is replaced by its use (RFC 9700 §4.14.2). Of a FAPI client it is not: only the client's key
 * can use it, and a client that missed the answer would be locked out (FAPI 2.0 Security Profile §5.3.2.1).
 *
 * A token that is not used up is still claimed, so that nothing is issued once it was revoked.
 */
export function rotates({ oidc: { client, entities } }: KoaContextWithOIDC): boolean {
  if (!isFapi(client)) return true
  const scope = current()
  const token = entities.RefreshToken
  if (!scope || !token) throw new Error('A refresh token is used outside a request.')
  scope.claim = { model: 'RefreshToken', idHash: hashOf(token.jti), grantId: token.grantId, how: 'keep' }
  return false
}
