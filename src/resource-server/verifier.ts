import { bindingFlaw } from './binding.ts'
import { type Claims, judge, type LookUp } from './claims.ts'
import type { Credentials } from './credentials.ts'
import type { Flaw } from './flaws.ts'
import type { HttpRequest } from './http.ts'
import type { Settings } from './options.ts'

/** The claims of a token that is valid for a request, or the flaw of one that is not. */
export type Finding = { claims: Claims; flaw?: undefined } | { flaw: Flaw; claims?: undefined }

/** Verifies the token that a request brings, and its proof. Rejects when the token cannot be looked up. */
export type Verify = (request: HttpRequest, credentials: Credentials) => Promise<Finding>

/** The settings that a verifier needs. */
export type VerifierSettings = Pick<
  Settings,
  'issuer' | 'audience' | 'baseUrl' | 'proofAlgorithms' | 'replayStore' | 'clockToleranceSeconds'
>

/** Creates the verifier of an API. `lookUp` says where its tokens are known: here, at their issuer, or in the token. */
export function createVerifier(settings: VerifierSettings, lookUp: LookUp): Verify {
  return async (request, { scheme, token }) => {
    if (token === undefined) return { flaw: 'malformed' }
    const found = await lookUp(token)
    if (!found) return { flaw: 'unknown' }
    const claims = judge(found, settings)
    if (typeof claims === 'string') return { flaw: claims }
    const flaw = await bindingFlaw(request, { scheme, token, claims }, settings)
    return flaw === undefined ? { claims } : { flaw }
  }
}
