import type { Claims } from './claims.ts'
import type { Scheme } from './credentials.ts'
import type { Flaw } from './flaws.ts'
import type { HttpRequest } from './http.ts'
import type { Settings } from './options.ts'
import { check, type ProofSettings } from './proofs.ts'

type Presented = { scheme: Scheme; token: string; claims: Claims }

/**
 * Finds the flaw in how a request presents a token. A token that is bound to a key must come with proof of that key,
 * and no other token may come with the `DPoP` scheme (RFC 9449 §7).
 */
export async function bindingFlaw(
  request: HttpRequest,
  { scheme, token, claims }: Presented,
  settings: ProofSettings & Pick<Settings, 'replayStore'>,
): Promise<Flaw | undefined> {
  const { cnf, token_type } = claims
  const isBound = cnf !== undefined || (token_type !== undefined && !/^bearer$/i.test(String(token_type)))
  if (scheme === 'Bearer') return isBound ? 'unproven' : undefined // §7.2: or a thief could leave out the proof
  // A token that is also bound in another way, such as to a certificate (RFC 8705), needs more than this proof.
  if (Object.keys(cnf ?? {}).join() !== 'jkt') return 'unbound'
  const proof = await check(request, token, settings)
  if (typeof proof === 'string') return proof
  if (proof.jkt !== cnf?.jkt) return 'other-key'
  // Last, so that only the holder of a valid token and its key makes the store remember anything.
  const isFirst = await settings.replayStore.claim(proof.id, proof.expiresAt)
  return isFirst ? undefined : 'proof-replayed'
}
