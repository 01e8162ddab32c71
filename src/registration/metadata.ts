import { z } from 'zod'
import { displayName } from './names.ts'

const text = z.string().min(1)
const flag = z.boolean()
const list = z.array(text)

// RFC 6749 §3.3
const scope = z
  .string()
  .regex(
    /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/,
    'must be scope tokens, separated by single spaces (RFC 6749 §3.3)',
  )

const resource = z
  .string()
  .refine((uri) => URL.canParse(uri) && !/[#\s]/.test(uri), 'must be an absolute URI without a fragment (RFC 8707 §2)')

/**
 * The client metadata that can be given, spelled as the specifications spell it: what the engine knows as it is
 * configured, and what is Postern's own. What the server sets itself, such as `client_id` and `client_secret`, is not
 * among it.
 */
// biome-ignore format: it is a table
export const clientMetadata = z.strictObject({
  // RFC 7591 §2, OpenID Connect Dynamic Client Registration 1.0 §2
  client_name: displayName.describe('Name shown to people.'),
  redirect_uris: list.describe('Where people return to after signing in, matched character by character.'),
  grant_types: list.describe('Grants the client may use: authorization_code, refresh_token, client_credentials or urn:ietf:params:oauth:grant-type:device_code, and implicit where it is allowed.'),
  response_types: list.describe('What the client may ask the authorization endpoint for, and empty when it never sends people there.'),
  response_modes: list.describe('How answers of the authorization endpoint may be delivered to the client, of any kind when left out.'),
  application_type: z.enum(['web', 'native']).describe('Whether it runs on a server or in a browser (web), or as an app on a device of the person (native).'),
  token_endpoint_auth_method: text.describe('How the client authenticates: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, or none when it can keep no secret.'),
  token_endpoint_auth_signing_alg: text.describe('Algorithm the client signs its authentication with, any that is supported when left out.'),
  scope: scope.describe('Scopes the client may ask for, separated by spaces.'),
  contacts: list.describe('Email addresses of the people responsible for the client.'),
  client_uri: text.describe('Home page of the client.'),
  logo_uri: text.describe('Logo of the client.'),
  policy_uri: text.describe('Where the client says how it treats personal data.'),
  tos_uri: text.describe('Terms of service of the client.'),
  jwks_uri: text.describe('Where the public keys of the client are published as a JWK Set.'),
  jwks: z.looseObject({ keys: z.array(z.looseObject({ kty: text })) }).describe('Public keys of the client as a JWK Set, when it cannot publish them itself.'),
  subject_type: z.enum(['public', 'pairwise']).describe('Whether all clients know a person by the same identifier (public) or this one by its own (pairwise).'),
  sector_identifier_uri: text.describe('A JSON list of redirect URIs whose clients know a person by one pairwise identifier.'),
  id_token_signed_response_alg: text.describe('Algorithm that ID tokens for the client are signed with.'),
  id_token_encrypted_response_alg: text.describe('Key management algorithm that ID tokens for the client are encrypted with, where encryption is allowed.'),
  id_token_encrypted_response_enc: text.describe('Content encryption algorithm that ID tokens for the client are encrypted with.'),
  userinfo_signed_response_alg: text.describe('Algorithm that userinfo responses are signed with, which are plain JSON when left out.'),
  userinfo_encrypted_response_alg: text.describe('Key management algorithm that userinfo responses are encrypted with, where encryption is allowed.'),
  userinfo_encrypted_response_enc: text.describe('Content encryption algorithm that userinfo responses are encrypted with.'),
  default_max_age: z.int().nonnegative().describe('Seconds since signing in after which a person has to do it again, unless the request says otherwise.'),
  require_auth_time: flag.describe('Whether every ID token says when the person signed in.'),
  initiate_login_uri: text.describe('Where a third party can send people for the client to begin a login.'),

  // RFC 9101 §10.5, OpenID Connect Dynamic Client Registration 1.0 §2
  request_object_signing_alg: text.describe('Algorithm the client signs its request objects with, any that is supported when left out.'),
  request_object_encryption_alg: text.describe('Key management algorithm the client may encrypt request objects with, where encryption is allowed.'),
  request_object_encryption_enc: text.describe('Content encryption algorithm the client may encrypt request objects with.'),
  request_uris: list.describe('Where the client publishes its request objects, where they are fetched from there.'),
  require_signed_request_object: flag.describe('Whether authorization requests of the client must be signed.'),

  // RFC 9126 §6
  require_pushed_authorization_requests: flag.describe('Whether the client must push its authorization requests.'),

  // RFC 9449 §5.2
  dpop_bound_access_tokens: flag.describe('Whether the client must prove possession of a key for every token it asks for.'),

  // RFC 9701 §6
  introspection_signed_response_alg: text.describe('Algorithm that introspection responses for the client are signed with.'),
  introspection_encrypted_response_alg: text.describe('Key management algorithm that introspection responses are encrypted with, where encryption is allowed.'),
  introspection_encrypted_response_enc: text.describe('Content encryption algorithm that introspection responses are encrypted with.'),

  // JWT Secured Authorization Response Mode (JARM) §3
  authorization_signed_response_alg: text.describe('Algorithm that authorization responses for the client are signed with when it asks for signed ones.'),
  authorization_encrypted_response_alg: text.describe('Key management algorithm that authorization responses are encrypted with, where encryption is allowed.'),
  authorization_encrypted_response_enc: text.describe('Content encryption algorithm that authorization responses are encrypted with.'),

  // OpenID Connect RP-Initiated Logout 1.0 §3.1
  post_logout_redirect_uris: list.describe('Where people return to after signing out, matched character by character.'),

  // OpenID Connect Back-Channel Logout 1.0 §2.2
  backchannel_logout_uri: text.describe('Where the client is told that a person signed out.'),
  backchannel_logout_session_required: flag.describe('Whether the client must be told which session has ended.'),

  // Postern's own
  require_pkce: flag.describe('Whether the client must use PKCE, overriding the setting of the server except that public clients always must.'),
  required_scopes: scope.describe('Scopes that a person cannot refuse without refusing the whole request, separated by spaces.'),
  first_party: flag.describe('Whether people are not asked for consent, because the operator answers for the client.'),
  resources: z.array(resource).describe('Resource identifiers (RFC 8707) the client may ask tokens for, any when left out.'),
  dangerously_introspect_userinfo_tokens: flag.describe('Whether the client may introspect the access tokens that any client has for userinfo. Dangerous: an API that accepts these accepts the tokens of every app.'),
  fapi_profile: z.literal('2.0').describe('The FAPI profile that the client is held to, the Security Profile 2.0. Its requests are then pushed, its tokens bound to a key by DPoP and its refresh tokens not rotated, and it authenticates by private_key_jwt.'),
  id_token_claims: list.describe('Claims that ID tokens for the client have as well, where their scope is consented to. Without it they are at userinfo alone.'),
  default_resource: resource.describe('Resource identifier that requests without one are for when they ask for scopes of that API, or for none. By default the only one of resources.'),
}).partial()

/** Client metadata as an administrator gives it. */
export type ClientMetadataInput = z.input<typeof clientMetadata>
