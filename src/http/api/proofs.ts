import { calculateJwkThumbprint, EmbeddedJWK, type JWK, type JWTPayload, jwtVerify } from 'jose'
import { sha256 } from '../../crypto/digests.ts'
import type { Db } from '../../database/schema.ts'
import { verifiedAlgorithms } from '../../oidc/features.ts'
import * as replays from '../../stores/protocol/replays.ts'

const goodForSeconds = 60 // a proof is made for one request
const clockToleranceSeconds = 5

/** What a proof has to be about. */
export type Proven = {
  method: string
  /** The address of the request, without its query. */
  address: string
  token: string
  /** The thumbprint of the key that the token is bound to. */
  jkt: string
}

/**
 * Says what is wrong with the proof that a request comes from who has the key of its token, or `undefined` if nothing
 * is (RFC 9449 §4.3). A proof is used once, by all processes together.
 */
export async function flawOf(
  db: Db,
  proof: string,
  { method, address, token, jkt }: Proven,
): Promise<string | undefined> {
  const opened = await open(proof)
  if (!opened) return 'There has to be one DPoP proof that is well formed, signed and recent.'
  const { payload, jwk } = opened
  if (payload['htm'] !== method) return 'The DPoP proof is for another method.'
  if (withoutQuery(payload['htu']) !== withoutQuery(address)) return 'The DPoP proof is for another address.'
  if (payload['ath'] !== sha256(token).toString('base64url')) return 'The DPoP proof is for another token.'
  if (typeof payload.jti !== 'string' || payload.jti === '') return 'The DPoP proof has no jti.'
  if ((await calculateJwkThumbprint(jwk)) !== jkt) return 'The DPoP proof is by another key than that of the token.'
  // Last, so that only who has a good token and its key makes anything remembered. It is remembered until it would be
  // too old, also if it says to be from as far in the future as clocks may differ.
  const expiresAt = new Date(Date.now() + (goodForSeconds + 2 * clockToleranceSeconds) * 1_000)
  const isFirst = await replays.redeem(db, sha256(['admin api', jkt, payload.jti].join('\0')), expiresAt)
  return isFirst ? undefined : 'The DPoP proof was used before.'
}

async function open(proof: string): Promise<{ payload: JWTPayload; jwk: JWK } | undefined> {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: verifiedAlgorithms,
      maxTokenAge: goodForSeconds,
      clockTolerance: clockToleranceSeconds,
    })
    return { payload, jwk: protectedHeader.jwk as JWK }
  } catch {
    return undefined
  }
}

function withoutQuery(address: unknown): string | undefined {
  const url = typeof address === 'string' ? URL.parse(address) : null
  return url ? url.origin + url.pathname : undefined
}
