import { errors } from 'oidc-provider'
import type { Config } from '../../config/index.ts'
import { isFapi } from '../fapi.ts'

type PkceClient = { clientId: string; clientAuthMethod?: string | undefined; [extra: string]: unknown }

/**
 * Returns `false`, which lets a client omit PKCE.
 *
 * @throws InvalidRequest when the client must use it (RFC 7636 §4.4.1). The text tells both the app's developer and the
 *   administrator what to do.
 */
export function assertPkceUnneeded(config: Config, client: PkceClient): false {
  const isPublic = client.clientAuthMethod === 'none'
  const isObliged = isPublic || isFapi(client)
  const isRequired = isObliged || (client['require_pkce'] ?? config.REQUIRE_PKCE === 'always') === true
  if (!isRequired) return false
  const alternative = isObliged
    ? ''
    : `, or have an administrator run: postern client update ${client.clientId} --require-pkce false`
  throw new errors.InvalidRequest(
    `PKCE is required: send code_challenge with code_challenge_method=S256 (RFC 7636)${alternative}`,
  )
}
