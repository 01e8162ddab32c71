/** The headings for the fifty options of a client's metadata. The first pattern that matches an option decides. */
const groups: readonly (readonly [string, RegExp])[] = [
  ['What people see', /^(client_name|client_uri|logo_uri|policy_uri|tos_uri|contacts)$/],
  ['What it may request', /^(scope|required_scopes|resources|default_resource|first_party|dangerously_.*)$/],
  ['What it learns', /^(id_token_claims|subject_type|sector_identifier_uri|default_max_age|require_auth_time)$/],
  ['How it authenticates', /^(token_endpoint_.*|jwks|jwks_uri|fapi_profile|dpop_.*|require_.*)$/],
  ['Signatures and encryption', /_(alg|enc)$/],
  ['How people are sent there and back', /(_uris?|_types?|_modes|_session_required)$/],
]

/** Returns the heading for an option of a client. */
export function groupOf(name: string): string | undefined {
  return groups.find(([, pattern]) => pattern.test(name))?.[0]
}
