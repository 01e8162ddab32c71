import type { Configuration } from 'oidc-provider'
import type { Config } from '../config/index.ts'
import { signingAlgorithms } from '../crypto/keys.ts'
import type { Keyring } from '../keys/keyring.ts'
import { assertRequestObject, fapi } from './fapi.ts'
import type { Pages } from './pages.ts'
import type { ResourceServers } from './permissions/resource-servers.ts'
import type { DynamicRegistration } from './registration/by-client.ts'

/** Returns the features of the engine. One that is not named keeps the engine's default. */
export function features({
  config,
  keyring,
  pages,
  registration,
  resourceServers,
}: {
  config: Config
  keyring: Keyring
  pages: Pages
  registration: DynamicRegistration
  resourceServers: ResourceServers
}) {
  // biome-ignore format: it is a table
  return {
    devInteractions:             { enabled: false },
    userinfo:                    { enabled: true },                                    // OIDC Core §5.3
    jwtUserinfo:                 { enabled: true },                                    // OIDC Core §5.3.2
    claimsParameter:             { enabled: true },                                    // OIDC Core §5.5
    clientCredentials:           { enabled: true },                                    // RFC 6749 §4.4
    introspection:               { enabled: true, allowedPolicy: resourceServers.mayIntrospect }, // RFC 7662
    jwtIntrospection:            { enabled: true },                                    // RFC 9701
    revocation:                  { enabled: true, allowedPolicy: mayRevoke },          // RFC 7009
    registration:                { enabled: true, initialAccessToken: true, ...registration }, // RFC 7591
    registrationManagement:      { enabled: true, rotateRegistrationAccessToken: true }, // RFC 7592
    deviceFlow:                  { enabled: true, charset: 'base-20', mask: '****-****', ...pages.device }, // RFC 8628
    resourceIndicators:          { enabled: true, ...resourceServers.indicators },     // RFC 8707
    pushedAuthorizationRequests: { enabled: true, allowUnregisteredRedirectUris: false }, // RFC 9126
    requestObjects:              { enabled: true, assertJwtClaimsAndHeader: assertRequestObject }, // RFC 9101
    fapi,                                                                              // FAPI 2.0 Security Profile
    jwtResponseModes:            { enabled: true },                                    // JARM
    dPoP:                        { enabled: true, nonceSecret: keyring.dpopNonceSecret.reveal(), allowReplay: false }, // RFC 9449
    rpInitiatedLogout:           { enabled: true, ...pages.logout },                   // OIDC RP-Initiated Logout 1.0
    backchannelLogout:           { enabled: true },                                    // OIDC Back-Channel Logout 1.0
    encryption:                  { enabled: config.ALLOW_ENCRYPTION },                 // RFC 7516
    externalSigningSupport:      { enabled: true, ack: 'experimental-01' },            // docs/decisions/0011
  } satisfies Configuration['features']
}

/**
 * The algorithms that clients may sign with. They include the newer name of EdDSA (RFC 9864), but neither HS* nor
 * `none`.
 */
export const verifiedAlgorithms: string[] = [...signingAlgorithms, 'Ed25519']

/** Returns the signing algorithms: those that Postern signs with, and those that it accepts from clients. */
export function algorithms(signing: readonly string[]): NonNullable<Configuration['enabledJWA']> {
  return {
    idTokenSigningAlgValues: signing,
    userinfoSigningAlgValues: signing,
    introspectionSigningAlgValues: signing,
    authorizationSigningAlgValues: signing,
    requestObjectSigningAlgValues: verifiedAlgorithms,
    dPoPSigningAlgValues: verifiedAlgorithms,
    clientAuthSigningAlgValues: [...verifiedAlgorithms, 'HS256'], // HS256 is client_secret_jwt
  } as NonNullable<Configuration['enabledJWA']>
}

/**
 * Returns whether a client may revoke a token: it must be the client that it was issued to (RFC 7009 §2.1). Any other
 * gets the answer for a token that does not exist (§2.2), and learns nothing about it.
 */
async function mayRevoke(
  _ctx: unknown,
  client: { clientId: string },
  token: { clientId?: string | undefined },
): Promise<boolean> {
  return token.clientId === client.clientId
}
