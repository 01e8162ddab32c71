import type { AuthorizationServer } from './authorization-server.ts'
import type { LookUp } from './claims.ts'
import type { Settings } from './options.ts'
import { verify } from './signatures.ts'

/** Finds out about tokens from themselves: they are JWTs that the authorization server signed (RFC 9068 §4). */
export function createJwtLookUp(
  { clockToleranceSeconds }: Pick<Settings, 'clockToleranceSeconds'>,
  server: AuthorizationServer,
): LookUp {
  return (token) =>
    verify(token, server, {
      typ: 'at+jwt', // an ID token is signed with the same keys, and may have the same audience
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'], // §2.2
    })
}
