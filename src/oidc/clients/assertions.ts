import { errors } from 'oidc-provider'
import type { Config } from '../../config/index.ts'
import { fapiAlgorithms } from '../../registration/fapi.ts'
import { isFapi } from '../fapi.ts'

const longestSeconds = 3_600 // a client creates one for each request; some let it expire after an hour

type Asked = { oidc: { issuer: string } }
type Client = { [extra: string]: unknown }

/**
 * Returns the checks of a client's assertion that the engine leaves out.
 *
 * An assertion must not be valid for long (RFC 7523 §3, item 4): its identifier is kept until it expires (item 7), so
 * without a bound a client decides for how long. Where that is configured, it must name the issuer alone (RFC 7523bis
 * §3, item 3; FAPI 2.0 Security Profile §5.3.2.1): one that names an endpoint may have been created for another server,
 * whose metadata gave this endpoint as its own.
 */
export function assertionRules({ CLIENT_ASSERTION_AUDIENCE }: Pick<Config, 'CLIENT_ASSERTION_AUDIENCE'>) {
  return async (
    { oidc: { issuer } }: Asked,
    { exp, aud }: { exp?: unknown; aud?: unknown },
    { alg }: { alg?: unknown },
    client: Client,
  ): Promise<void> => {
    if (Number(exp) > Date.now() / 1000 + longestSeconds) {
      throw new errors.InvalidClientAuth('client_assertion must expire within an hour')
    }
    if ((CLIENT_ASSERTION_AUDIENCE === 'issuer' || isFapi(client)) && aud !== issuer) {
      throw new errors.InvalidClientAuth(`aud of client_assertion must be the issuer alone, as a string: ${issuer}`)
    }
    if (isFapi(client) && !fapiAlgorithms.includes(String(alg))) {
      throw new errors.InvalidClientAuth('client_assertion must be signed with PS256, ES256 or EdDSA')
    }
  }
}
