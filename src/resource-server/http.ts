/** The parts of a request that are read. A standard `Request` has them. */
export type HttpRequest = {
  method: string
  /** Absolute, or beginning with the path. */
  url: string
  /** Returns the value of a field. Several lines are joined with commas. */
  headers: { get(name: string): string | null }
}

/** A request as frameworks represent it: with `Headers`, or with fields by name, as in Node.js. */
export type AnyRequest = Omit<HttpRequest, 'headers'> & {
  headers: HttpRequest['headers'] | Readonly<Record<string, string | readonly string[] | undefined>>
}

/** Gives a request one way to read its fields, in either representation. Names are case-insensitive. */
export function withHeaders({ method, url, headers }: AnyRequest): HttpRequest {
  if (hasGet(headers)) return { method, url, headers }
  const fields = new Map<string, string[]>()
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase()
    fields.set(key, [...(fields.get(key) ?? []), ...[value ?? []].flat()])
  }
  const get = (name: string) => {
    const values = fields.get(name.toLowerCase()) ?? []
    return values.length > 0 ? values.join(', ') : null
  }
  return { method, url, headers: { get } }
}

const hasGet = (headers: AnyRequest['headers']): headers is HttpRequest['headers'] =>
  typeof headers['get'] === 'function'

/** The answer to a request that does not reach the API. `body` is sent as JSON. */
export type HttpAnswer = { status: number; headers: Record<string, string>; body: object }

/** Splits the target of a request, in any of its forms (RFC 9112 §3.2), into path and query. */
export function targetOf({ url }: HttpRequest): { path: string; query: URLSearchParams } {
  // By hand, because a target that begins with two slashes would name another host if it were parsed as a URL.
  const target = url.startsWith('/') ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  const [, path = '', query = ''] = /^([^?#]*)(?:\?([^#]*))?/.exec(target) ?? []
  return { path: path || '/', query: new URLSearchParams(query) }
}
