const onlyOfUris = /^[\w.~:/?[\]@!$&'()*+,;=%-]+$/ // RFC 3986 §2, without a fragment

/**
 * The one spelling of a URI that all equivalent ones have (RFC 3986 §6.2): of one on the web without capitals in the host,
 * without the port that is the default, and without the slash that stands for no path. `/a/` beside `/a` stays another.
 */
function canonicalUri(uri: string): string {
  const url = onlyOfUris.test(uri) ? URL.parse(uri) : null // which reads more than there may be in a URI
  if (!url || !/^https?:$/.test(url.protocol)) return uri
  return url.href.replace(/^([^/]+\/\/[^/]+)\/(?=\?|$)/, '$1')
}

/** Whether two URIs name the same thing, however they are spelled. */
export function isSameUri(one: string, other: string): boolean {
  return one === other || canonicalUri(one) === canonicalUri(other)
}
