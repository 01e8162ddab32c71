import type { AuthorizationServer } from './authorization-server.ts'
import type { LookUp } from './claims.ts'
import type { Settings } from './options.ts'
import { verify } from './signatures.ts'

/** Creates a look-up that reads tokens themselves: JWTs signed by the authorization server (RFC 9068 §4). */
export function createJwtLookUp(
  { clockToleranceSeconds }: Pick<Settings, 'clockToleranceSeconds'>,
  server: AuthorizationServer,
): LookUp {
  return (token) =>
    verify(token, server, {
      typ: 'at+jwt', // ID tokens are signed with the same keys, and may have the same audience
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'], // §2.2
    })
}
