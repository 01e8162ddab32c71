/** What is read of a request. A standard `Request` is one. */
export type HttpRequest = {
  method: string
  /** Absolute, or from the path on. */
  url: string
  /** The value of a field, its lines joined with commas if there are several. */
  headers: { get(name: string): string | null }
}

/** What is answered in place of the API. `body` is for JSON. */
export type HttpAnswer = { status: number; headers: Record<string, string>; body: object }

/** The path and the query of a request, whichever form its target has (RFC 9112 §3.2). */
export function targetOf({ url }: HttpRequest): { path: string; query: URLSearchParams } {
  // Taken apart by hand: as a URL, a target that begins with two slashes would name another host.
  const target = url.startsWith('/') ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  const [, path = '', query = ''] = /^([^?#]*)(?:\?([^#]*))?/.exec(target) ?? []
  return { path: path || '/', query: new URLSearchParams(query) }
}
