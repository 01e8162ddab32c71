import { type HttpRequest, targetOf } from './http.ts'

export type Scheme = 'Bearer' | 'DPoP'

export type Credentials = { scheme: Scheme; token: string | undefined }

const schemes = new Map<string, Scheme>([
  ['bearer', 'Bearer'],
  ['dpop', 'DPoP'],
])

/**
 * The access token of a request, or `undefined` if it brings none in a way known here. The `Authorization` header
 * is the only one: addresses end up in logs (RFC 9700 §4.3.2), and bodies are the API's own to read. Credentials
 * without `token` are a request that brings it wrongly, or in two ways at once (RFC 6750 §3.1).
 */
export function read(request: HttpRequest): Credentials | undefined {
  const [, name = '', value = ''] = /^(\S+) *(.*)$/.exec(request.headers.get('authorization')?.trim() ?? '') ?? []
  const scheme = schemes.get(name.toLowerCase()) // in any case: RFC 9110 §11.1
  if (!scheme) return undefined
  const isWellFormed = /^[\w.~+/-]+=*$/.test(value) // b64token, RFC 6750 §2.1
  const isAlone = !targetOf(request).query.has('access_token')
  return { scheme, token: isWellFormed && isAlone ? value : undefined }
}
