import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose'
import type { Flaw } from './flaws.ts'
import { type HttpRequest, targetOf } from './http.ts'
import type { Settings } from './options.ts'

export type Proof = {
  /** The thumbprint of the key that signed it. */
  jkt: string
  /** Differs from that of every other proof, whichever key signed it. */
  id: string
  /** When the proof can no longer be used, and need not be remembered. In seconds since 1970. */
  expiresAt: number
}

export type ProofSettings = Pick<Settings, 'baseUrl' | 'proofAlgorithms' | 'clockToleranceSeconds'>

const acceptedForSeconds = 60 // a proof is made for one request

/**
 * Verifies the proof that the sender of a request holds a key (RFC 9449 §4.3). The caller has to check that the token
 * is bound to that key, and that the proof was not used before.
 */
export async function check(request: HttpRequest, token: string, settings: ProofSettings): Promise<Proof | Flaw> {
  const jwt = await open(request.headers.get('dpop') ?? '', settings)
  if (!jwt) return 'proof-malformed'
  const { htm, htu, ath, jti } = jwt.payload
  if (htm !== request.method) return 'proof-other-method'
  if (typeof htu !== 'string' || normal(htu) !== normal(addressOf(request, settings))) return 'proof-other-address'
  if (ath !== sha256(token)) return 'proof-other-token'
  if (typeof jti !== 'string' || jti === '') return 'proof-without-jti'
  const jkt = await calculateJwkThumbprint(jwt.protectedHeader.jwk as JWK)
  // The tolerance counts twice: once for a proof from a clock ahead, and once for the end of its time.
  const expiresAt = Math.ceil(Date.now() / 1_000) + acceptedForSeconds + 2 * settings.clockToleranceSeconds
  return { jkt, id: sha256(`${jkt} ${jti}`), expiresAt }
}

async function open(proof: string, { proofAlgorithms, clockToleranceSeconds }: ProofSettings) {
  try {
    return await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [...proofAlgorithms],
      maxTokenAge: acceptedForSeconds,
      clockTolerance: clockToleranceSeconds,
    })
  } catch {
    return undefined
  }
}

/**
 * Returns the address of a request as its client knows it. `Host` is not read: the sender writes it, and a proxy may
 * change it.
 */
function addressOf(request: HttpRequest, { baseUrl }: ProofSettings): string {
  const address = new URL(baseUrl)
  address.pathname = baseUrl.pathname.replace(/\/$/, '') + targetOf(request).path
  return address.href
}

/** Returns an address in normal form, without query and fragment (RFC 9449 §4.3, RFC 3986 §6.2). */
function normal(address: string): string | undefined {
  const url = URL.parse(address)
  if (!url) return undefined
  const path = url.pathname.replace(/%[\da-f]{2}/gi, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    return /[\w.~-]/.test(character) ? character : encoded.toUpperCase()
  })
  return `${url.origin}${path}`
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url')
