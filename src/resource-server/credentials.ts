import { type HttpRequest, targetOf } from './http.ts'

export type Scheme = 'Bearer' | 'DPoP'

export type Credentials = { scheme: Scheme; token: string | undefined }

const schemes = new Map<string, Scheme>([
  ['bearer', 'Bearer'],
  ['dpop', 'DPoP'],
])

/**
 * Reads the access token of a request. Returns `undefined` when the request has none in a known scheme. Only the
 * `Authorization` header is read: addresses end up in logs (RFC 9700 §4.3.2), and reading the body is up to the API.
 * Credentials have no `token` when it is malformed, or also in the query (RFC 6750 §3.1).
 */
export function read(request: HttpRequest): Credentials | undefined {
  const [, name = '', value = ''] = /^(\S+) *(.*)$/.exec(request.headers.get('authorization')?.trim() ?? '') ?? []
  const scheme = schemes.get(name.toLowerCase()) // schemes are case-insensitive: RFC 9110 §11.1
  if (!scheme) return undefined
  const isWellFormed = /^[\w.~+/-]+=*$/.test(value) // b64token, RFC 6750 §2.1
  const isAlone = !targetOf(request).query.has('access_token')
  return { scheme, token: isWellFormed && isAlone ? value : undefined }
}
