import type { Configuration } from 'oidc-provider'
import type { Config } from '../config/index.ts'
import type { ArtifactModel } from '../stores/protocol/models.ts'
import { isFapi } from './fapi.ts'

/** The models with a lifetime. The engine has defaults of its own, which none of them may be left to. */
type Timed = Exclude<ArtifactModel, 'Receipt' | 'RegistrationAccessToken'> | 'Session' | 'Grant' | 'IdToken'

const otherComputerSeconds = 3_600 // the lifetime of an unused session at a computer that is not the person's own

/** Returns the lifetimes of everything that the engine issues, in seconds. */
export function lifetimes(config: Config) {
  // Longer than any family of refresh tokens, so that none of them ends because its grant expired.
  const grant = config.REFRESH_TOKEN_FAMILY_TTL_SECONDS + 30 * 86_400

  return {
    grant,
    // A grant in use is extended when less than this is left.
    grantRenewal: config.REFRESH_TOKEN_FAMILY_TTL_SECONDS + 86_400,
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? config.ACCESS_TOKEN_TTL_SECONDS,
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? config.ACCESS_TOKEN_TTL_SECONDS,
      AuthorizationCode: 60,
      DeviceCode: 600,
      IdToken: config.ID_TOKEN_TTL_SECONDS,
      Interaction: config.INTERACTION_TTL_SECONDS,
      // A session without a signed-in person serves only the page that began it.
      Session(_ctx, session) {
        if (!session.accountId) return config.INTERACTION_TTL_SECONDS
        const { transient = false } = session as { transient?: boolean }
        return transient ? Math.min(config.SESSION_TTL_SECONDS, otherComputerSeconds) : config.SESSION_TTL_SECONDS
      },
      Grant: grant,
      PushedAuthorizationRequest: 60, // RFC 9126 §2.2 suggests 5 to 600 seconds
      // A family ends at its maximum age, however often it was rotated.
      RefreshToken: (_ctx, token, client) => {
        const left =
          config.REFRESH_TOKEN_FAMILY_TTL_SECONDS - Math.floor(Date.now() / 1000 - (token.iiat ?? Date.now() / 1000))
        // A FAPI client's token is not rotated and so has no successor: it is valid as long as its family.
        const unused = isFapi(client) ? left : config.REFRESH_TOKEN_TTL_SECONDS
        return Math.max(1, Math.min(unused, left))
      },
    } satisfies NonNullable<Configuration['ttl']> & Record<Timed, unknown>,
  }
}
