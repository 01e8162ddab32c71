const redirect_uris = ['https://rp.example/cb']

/** Metadata that a client may neither register nor change itself into, with the member at fault. */
export const forbidden: [what: string, field: string, metadata: Record<string, unknown>][] = [
  ['plain http', 'redirect_uris', { redirect_uris: ['http://rp.example/cb'] }],
  ['user information', 'redirect_uris', { redirect_uris: ['https://good.example@evil.example/cb'] }],
  ['empty user information', 'redirect_uris', { redirect_uris: ['https://@evil.example/cb'] }],
  ['a fragment', 'redirect_uris', { redirect_uris: ['https://rp.example/cb#here'] }],
  ['an empty fragment', 'redirect_uris', { redirect_uris: ['https://rp.example/cb#'] }],
  ['a wildcard', 'redirect_uris', { redirect_uris: ['https://*.rp.example/cb'] }],
  ['an IPv4 address', 'redirect_uris', { redirect_uris: ['https://203.0.113.7/cb'] }],
  ['an IPv4 address in hexadecimal', 'redirect_uris', { redirect_uris: ['https://0xcb007107/cb'] }],
  ['an IPv6 address', 'redirect_uris', { redirect_uris: ['https://[2001:db8::1]/cb'] }],
  ['javascript:', 'redirect_uris', { redirect_uris: ['javascript:alert(1)'] }],
  ['data:', 'redirect_uris', { redirect_uris: ['data:text/html,x'] }],
  [
    'a private-use scheme in a web client',
    'redirect_uris',
    { application_type: 'web', redirect_uris: ['com.example.app:/cb'] },
  ],
  ['a scheme without a dot', 'redirect_uris', { application_type: 'native', redirect_uris: ['myapp:/cb'] }],
  ['a relative URI', 'redirect_uris', { redirect_uris: ['/cb'] }],
  ['an empty redirect URI', 'redirect_uris', { redirect_uris: [''] }],
  ['no redirect URI at all', 'redirect_uris', { redirect_uris: [] }],
  [
    'one invalid redirect URI among valid ones',
    'redirect_uris',
    { redirect_uris: [...redirect_uris, 'http://rp.example/cb'] },
  ],
  [
    'too many redirect URIs',
    'redirect_uris',
    { redirect_uris: Array.from({ length: 21 }, (_, n) => `https://rp.example/${n}`) },
  ],
  ['an invalid post-logout URI', 'post_logout_redirect_uris', { post_logout_redirect_uris: ['http://rp.example/bye'] }],
  ['a logo at an IP address', 'logo_uri', { logo_uri: 'http://169.254.169.254/latest' }],
  [
    'keys at an IP address',
    'jwks_uri',
    { jwks_uri: 'https://10.0.0.1/jwks', token_endpoint_auth_method: 'private_key_jwt' },
  ],
  [
    'request objects at an IP address',
    'request_uris',
    { jwks_uri: 'https://rp.example/jwks', request_uris: ['https://10.0.0.1/request.jwt'] },
  ],
  [
    'back-channel logout at an IP address',
    'backchannel_logout_uri',
    { backchannel_logout_uri: 'https://192.168.1.1/logout' },
  ],
  ['no PKCE', 'require_pkce', { require_pkce: false }],
  ['required scopes', 'required_scopes', { required_scopes: 'email' }],
  ['a FAPI profile', 'fapi_profile', { fapi_profile: '2.0', token_endpoint_auth_method: 'private_key_jwt' }],
  [
    'introspection of tokens of other clients',
    'dangerously_introspect_userinfo_tokens',
    { dangerously_introspect_userinfo_tokens: true },
  ],
  ['an unsigned ID token', 'id_token_signed_response_alg', { id_token_signed_response_alg: 'none' }],
  ['an implicit response', 'grant_types', { response_types: ['id_token'], grant_types: ['implicit'] }],
  ['an unknown grant type', 'grant_types', { grant_types: ['password'] }],
  ['an unknown authentication method', 'token_endpoint_auth_method', { token_endpoint_auth_method: 'tls_client_auth' }],
  ['a scope of the admin API', 'scope', { scope: 'openid postern:clients' }],
  ['a malformed scope', 'scope', { scope: 'openid  "email"' }],
  [
    'a scope of an API',
    'scope',
    { scope: 'read', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
  ],
  ['metadata that is too large', 'client_name', { client_name: 'x'.repeat(20_000) }],
  [
    'client credentials without a secret',
    'token_endpoint_auth_method',
    { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], token_endpoint_auth_method: 'none' },
  ],
]

/** Returns the error code for a member (RFC 7591 §3.2.2). */
export const errorAbout = (field: string): string =>
  field === 'redirect_uris' ? 'invalid_redirect_uri' : 'invalid_client_metadata'
