const onlyOfUris = /^[\w.~:/?[\]@!$&'()*+,;=%-]+$/ // RFC 3986 §2, without a fragment

/**
 * Returns the normal form of a URI, which all equivalent spellings share (RFC 3986 §6.2). On the web it has no capitals
 * in the host, no default port, and no slash in place of an empty path. `/a/` and `/a` stay different.
 */
function canonicalUri(uri: string): string {
  const url = onlyOfUris.test(uri) ? URL.parse(uri) : null // it would accept more characters than a URI may have
  if (!url || !/^https?:$/.test(url.protocol)) return uri
  return url.href.replace(/^([^/]+\/\/[^/]+)\/(?=\?|$)/, '$1')
}

/** Says whether two URIs are equivalent, however they are spelled. */
export function isSameUri(one: string, other: string): boolean {
  return one === other || canonicalUri(one) === canonicalUri(other)
}
