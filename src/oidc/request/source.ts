import type { AuthorizationCode, DeviceCode, KoaContextWithOIDC, RefreshToken } from 'oidc-provider'
import { modelsWith } from '../../stores/protocol/models.ts'

const presented = modelsWith(({ redeemed }) => redeemed === 'with-writes')

/**
 * Returns the code or refresh token that a token request presented; `undefined` where a client requests a token for
 * itself.
 */
export function sourceOf({ oidc }: KoaContextWithOIDC): AuthorizationCode | RefreshToken | DeviceCode | undefined {
  const entities = oidc.entities as Record<string, AuthorizationCode | RefreshToken | DeviceCode | undefined>
  return presented.map((model) => entities[model]).find((source) => source !== undefined)
}
