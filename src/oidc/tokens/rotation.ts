import type { KoaContextWithOIDC } from 'oidc-provider'
import { isFapi } from '../fapi.ts'

/**
 * Returns whether the use of a refresh token replaces it (RFC 9700 §4.14.2). A FAPI client's token is kept: only the
 * client's key can use it, and a client that missed the answer would be locked out (FAPI 2.0 Security Profile
 * §5.3.2.1).
 *
 * A token that is not replaced is still checked in the statement that issues something for it, as any source is:
 * `adapters/commit.ts`.
 */
export function rotates({ oidc: { client } }: KoaContextWithOIDC): boolean {
  return !isFapi(client)
}
