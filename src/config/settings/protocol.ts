import { z } from 'zod'

/** Parts of the protocols that are required, or switched on and off. */
export const protocolSettings = {
  REQUIRE_PKCE: z
    .enum(['always', 'public-clients'])
    .default('always')
    .describe('Which clients must use PKCE: all of them, or only those that cannot keep a secret.'),
  CLIENT_ASSERTION_AUDIENCE: z
    .enum(['issuer', 'any'])
    .default('any')
    .describe(
      'The audience that a client assertion must name: only the issuer (RFC 7523bis), or any of the issuer, the token endpoint and the endpoint it is sent to.',
    ),
  ALLOW_IMPLICIT_AND_HYBRID: z
    .stringbool()
    .default(false)
    .describe('Allow the implicit and hybrid response types, weaker than `code`, for clients registered with them.'),
  ALLOW_FORM_POST: z
    .stringbool()
    .default(true)
    .describe(
      'Allow the form_post response mode, which several client libraries use by default. Its page submits itself by script, or by a button.',
    ),
  ALLOW_REQUEST_URI: z
    .stringbool()
    .default(false)
    .describe(
      'Fetch request objects from the `request_uris` of a client (OpenID Connect Core §6.2). Pushed requests need no setting.',
    ),
  ALLOW_ENCRYPTION: z.stringbool().default(false).describe('Allow JWE for clients registered with it.'),
  ALLOW_ML_DSA: z
    .stringbool()
    .default(false)
    .describe('Sign with ML-DSA-65, which resists quantum computers, for clients registered with it.'),
}
