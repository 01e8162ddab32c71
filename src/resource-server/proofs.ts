import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose'
import { type HttpRequest, targetOf } from './http.ts'
import type { Settings } from './options.ts'
import { algorithms } from './signatures.ts'

export type Proof = {
  /** The thumbprint of the key that signed it. */
  jkt: string
  /** Tells it from every other proof, also from those of other keys. */
  id: string
  /** When it cannot be used any more, so that it need not be remembered. */
  expiresAt: number
}

type Clock = Pick<Settings, 'clockToleranceSeconds'>

const goodForSeconds = 60 // it is made for one request, and may be used again where nobody remembers it

/**
 * What proves that a request comes from who has a key, or a sentence about why it does not (RFC 9449 §4.3). That the
 * key is the one of the token, and that the proof is used once, is left to the caller.
 */
export async function check(
  request: HttpRequest,
  token: string,
  { baseUrl, clockToleranceSeconds }: Clock & Pick<Settings, 'baseUrl'>,
): Promise<Proof | string> {
  const jwt = await open(request.headers.get('dpop') ?? '', { clockToleranceSeconds })
  if (!jwt) return 'The request needs one DPoP proof that is well formed, signed and recent'
  const { htm, htu, ath, jti } = jwt.payload
  if (htm !== request.method) return 'The DPoP proof is for another method'
  if (typeof htu !== 'string' || normal(htu) !== normal(addressOf(request, baseUrl))) {
    return 'The DPoP proof is for another address'
  }
  if (ath !== sha256(token)) return 'The DPoP proof is for another token'
  if (typeof jti !== 'string' || jti === '') return 'The DPoP proof has no jti'
  const jkt = await calculateJwkThumbprint(jwt.protectedHeader.jwk as JWK)
  // At the far ends of the tolerance, once for a proof from the future and once for it becoming too old.
  const expiresAt = Math.ceil(Date.now() / 1_000) + goodForSeconds + 2 * clockToleranceSeconds
  return { jkt, id: sha256(`${jkt} ${jti}`), expiresAt }
}

async function open(proof: string, { clockToleranceSeconds }: Clock) {
  try {
    return await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms,
      maxTokenAge: goodForSeconds,
      clockTolerance: clockToleranceSeconds,
    })
  } catch {
    return undefined
  }
}

/**
 * Where a request was sent to, as its client knows it. `Host` is not asked: it is written by whoever sends the
 * request, and behind a proxy it is another.
 */
function addressOf(request: HttpRequest, baseUrl: URL): string {
  const address = new URL(baseUrl)
  address.pathname = baseUrl.pathname.replace(/\/$/, '') + targetOf(request).path
  return address.href
}

/** An address without query and fragment, in the one form that all its spellings have (RFC 9449 §4.3, RFC 3986 §6.2). */
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
