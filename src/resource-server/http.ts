/** What is read of a request. A standard `Request` is one. */
export type HttpRequest = {
  method: string
  /** Absolute, or from the path on. */
  url: string
  /** The value of a field, its lines joined with commas if there are several. */
  headers: { get(name: string): string | null }
}

/** A request as frameworks have it: with `Headers`, or with fields by name, as Node.js and most others do. */
export type AnyRequest = Omit<HttpRequest, 'headers'> & {
  headers: HttpRequest['headers'] | Readonly<Record<string, string | readonly string[] | undefined>>
}

/** A request whose fields are read one way, whatever it had them in. Their names are the same in any case. */
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

/** What is answered in place of the API. `body` is for JSON. */
export type HttpAnswer = { status: number; headers: Record<string, string>; body: object }

/** The path and the query of a request, whichever form its target has (RFC 9112 §3.2). */
export function targetOf({ url }: HttpRequest): { path: string; query: URLSearchParams } {
  // Taken apart by hand: as a URL, a target that begins with two slashes would name another host.
  const target = url.startsWith('/') ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  const [, path = '', query = ''] = /^([^?#]*)(?:\?([^#]*))?/.exec(target) ?? []
  return { path: path || '/', query: new URLSearchParams(query) }
}
