import { type Problem, problem } from './challenges.ts'
import type { Claims } from './claims.ts'
import type { Scheme } from './credentials.ts'
import type { HttpRequest } from './http.ts'
import type { Settings } from './options.ts'
import { check } from './proofs.ts'

type Presented = { scheme: Scheme; token: string; claims: Claims }

/**
 * Says what is missing for a request to use a token the way it does, or `undefined` if nothing is: a token that is
 * bound to a key comes with proof of it, and no other comes with the `DPoP` scheme (RFC 9449 §7).
 */
export async function unprovenBy(
  request: HttpRequest,
  { scheme, token, claims }: Presented,
  settings: Settings,
): Promise<Problem | undefined> {
  const { cnf, token_type } = claims
  const isBound = cnf !== undefined || (token_type !== undefined && !/^bearer$/i.test(String(token_type)))
  if (scheme === 'Bearer') {
    // §7.2: or a stolen one could be used by leaving the proof out.
    return isBound ? problem('invalid_token', 'The token is bound to a key, and needs proof of it') : undefined
  }
  // A token that is also bound in a way unknown here, as to a certificate (RFC 8705), is not proven by this one.
  if (Object.keys(cnf ?? {}).join() !== 'jkt') return problem('invalid_token', 'The token is not bound to a DPoP key')
  const proof = await check(request, token, settings)
  if (typeof proof === 'string') return problem('invalid_dpop_proof', proof)
  if (proof.jkt !== cnf?.jkt) return problem('invalid_token', 'The token is bound to another key')
  // Last, so that only who has a good token and its key makes anything remembered.
  const isFirst = await settings.replayStore.claim(proof.id, proof.expiresAt)
  return isFirst ? undefined : problem('invalid_dpop_proof', 'The DPoP proof was used before')
}
