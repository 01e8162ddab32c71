type Metadata = Record<string, unknown>

const longestMetadataBytes = 16_384
const mostUris = 20
const reservedFields = ['require_pkce', 'required_scopes'] as const
const uriFields = [
  'client_uri',
  'policy_uri',
  'tos_uri',
  'logo_uri',
  'initiate_login_uri',
  'jwks_uri',
  'sector_identifier_uri',
  'backchannel_logout_uri',
] as const

/**
 * Whether a client may register itself with this effective metadata (RFC 7591 §2, RFC 9700 §4.1). Returns
 * the refusal, naming the field and the rule, or `undefined`. A field left out is judged by its default.
 *
 * `allowsLoopback` is for a provider that is itself on localhost: there, so are the clients being developed.
 * `openScopes` are those that give nothing without a person's consent.
 */
export function judge(
  metadata: Metadata,
  { allowsLoopback, openScopes }: { allowsLoopback: boolean; openScopes: readonly string[] },
): string | undefined {
  if (JSON.stringify(metadata).length > longestMetadataBytes) {
    return `the metadata must not exceed ${longestMetadataBytes} bytes`
  }
  for (const field of reservedFields) {
    if (metadata[field] !== undefined) return `${field} can only be set by an administrator`
  }
  // With this grant nobody consents, so a client would give itself access to an API.
  if (list(metadata['grant_types']).includes('client_credentials')) {
    const foreign = String(metadata['scope'] ?? '')
      .split(' ')
      .find((name) => name !== '' && !openScopes.includes(name))
    if (foreign) return `scope of a client_credentials client may only include ${foreign} if an administrator says so`
  }
  const isNative = metadata['application_type'] === 'native'
  for (const field of ['redirect_uris', 'post_logout_redirect_uris'] as const) {
    const uris = list(metadata[field])
    if (uris.length > mostUris) return `${field} must not have more than ${mostUris} entries`
    for (const uri of uris) {
      const problem = redirectProblem(String(uri), { isNative, allowsLoopback })
      if (problem) return `${field} ${problem}`
    }
  }
  for (const field of uriFields) {
    const uri = metadata[field]
    if (typeof uri === 'string' && !isPlainHttps(uri) && !(allowsLoopback && isLoopback(uri))) {
      return `${field} must be an https URL with a host name`
    }
  }
  return undefined
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function redirectProblem(
  uri: string,
  { isNative, allowsLoopback }: { isNative: boolean; allowsLoopback: boolean },
): string | undefined {
  if (uri.includes('*')) return 'must not contain wildcards'
  const url = URL.parse(uri)
  if (!url) return 'must be absolute URIs'
  if (url.username || url.password || /^[a-z]+:\/\/[^/?#]*@/i.test(uri)) return 'must not contain user information'
  if (uri.includes('#')) return 'must not contain a fragment'
  if (url.protocol === 'https:') {
    return !isNative && isAddress(url.hostname) ? 'must name a host, not an address' : undefined
  }
  // RFC 8252 §7.3: an app on the person's own device listens on the loopback interface.
  if (isLoopback(uri) && (isNative || allowsLoopback)) return undefined
  if (!isNative) return 'of a web client must use https'
  if (url.protocol === 'http:') return 'over http must be loopback addresses'
  // RFC 8252 §7.1: a private-use scheme is a domain name in reverse, so it has a dot, and names no host after it.
  if (url.host !== '') return 'with a scheme of its own must not name a host: write scheme:/path'
  return /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(url.protocol)
    ? undefined
    : 'must use a reverse domain name as scheme'
}

function isPlainHttps(uri: string): boolean {
  const url = URL.parse(uri)
  return url?.protocol === 'https:' && !url.username && !url.password && !isAddress(url.hostname)
}

function isAddress(hostname: string): boolean {
  const isIp = hostname.startsWith('[') || /^[\d.]+$/.test(hostname)
  return isIp || hostname === 'localhost' || hostname.endsWith('.localhost')
}

function isLoopback(uri: string): boolean {
  const url = URL.parse(uri)
  return url?.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)
}
