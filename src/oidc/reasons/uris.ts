const parts = [
  ['protocol', 'scheme'],
  ['hostname', 'host'],
  ['port', 'port'],
  ['pathname', 'path'],
  ['search', 'query'],
  ['hash', 'fragment'],
] as const

/** Returns a URI as it may be logged and shown: values in its query may be secrets, and its user information is one. */
export function shownUri(uri: string): string {
  const url = URL.parse(uri)
  if (!url) return withoutUser(uri.replace(/[?#].*/s, '?…'))
  const names = [...url.searchParams.keys()].map((name) => `${name}=…`)
  const query = names.length > 0 ? `?${names.join('&')}` : url.search && '?…'
  const end = uri.search(/[?#]/)
  // The address is kept as written, because its spelling may be the very reason.
  const address = withoutUser(end < 0 ? uri : uri.slice(0, end))
  return `${address}${query}${url.hash && '#…'}`
}

/** Removes the user information, whatever slashes come before it: browsers read `https:me:secret@host` too. */
const withoutUser = (uri: string) => uri.replace(/^(\s*[^:/?#\\]+:[/\\]*)[^/\\]*@/, '$1')

/** Returns the URI that differs least from another one, and how it differs. */
export function nearest(uris: readonly string[], uri: string): { uri: string; difference: string } | undefined {
  const compared = uris.map((candidate) => ({ uri: candidate, differences: differences(candidate, uri) }))
  const [first] = compared.sort((one, other) => one.differences.length - other.differences.length)
  return first && { uri: first.uri, difference: first.differences.join(', ') || 'it is spelled differently' }
}

function differences(expected: string, received: string): string[] {
  const [one, other] = [URL.parse(expected), URL.parse(received)]
  if (!one || !other) return ['it is not an absolute URI']
  return parts.flatMap(([part, name]) => {
    const [a, b] = [one[part], other[part]]
    if (a === b) return []
    if (a.toLowerCase() === b.toLowerCase()) return [`the ${name} differs in capitals`]
    if (part === 'pathname' && a.replace(/\/$/, '') === b.replace(/\/$/, '')) {
      return [b.endsWith('/') ? 'the path has a slash at its end' : 'the path has no slash at its end']
    }
    return [`the ${name} differs`]
  })
}
