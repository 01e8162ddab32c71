import { z } from 'zod'
import type { Config } from '../config/index.ts'
import { localized } from './localized.ts'
import { displayName } from './names.ts'
import { postLogoutRedirectUriProblem, redirectUriProblem, type UriRule, webUriProblem } from './redirect-uris.ts'

/** The metadata of a client, not yet checked. */
export type Metadata = Record<string, unknown>

/** Returns the texts in the value of a member, be it one text or a list. Anything of another form is left out. */
export const texts = (value: unknown): string[] => [value].flat().filter((item) => typeof item === 'string')

/** The facts about one member of client metadata. */
type Member = {
  /** Its form, and in `.describe()` its documentation. */
  schema: z.ZodType
  /** The rule for its URIs. */
  uri?: UriRule
  /**
   * The party that may set it: by default both a client that registers itself and an administrator; with `client`, the
   * client alone. The others name the rule of a policy that has to allow it.
   */
  setBy?: 'client' | 'administrative' | 'first_party'
  /** The value that anyone may set all the same, because it asks for nothing. */
  harmless?: unknown
  /** Whether it is not one of the engine's own members, so that the configuration of the engine has to name it. */
  isExtra?: true
  /** The setting of the server without which it has no effect on any client. */
  needs?: keyof Config
  /** Whether it has an effect on a client with this metadata. By default it has. */
  hasEffect?: (value: unknown, metadata: Metadata) => boolean
}

type SetByServer =
  | 'client_id'
  | 'client_id_issued_at'
  | 'client_secret'
  | 'client_secret_expires_at'
  | 'registration_access_token'
  | 'registration_client_uri'

/** The demands on the table: a member that holds URIs has a rule for them, and none is set by the server. */
type Complete<Table> = {
  [Name in keyof Table]: Name extends SetByServer
    ? never
    : Name extends `${string}_uri` | `${string}_uris`
      ? { uri: UriRule }
      : { uri?: never }
}

/** Checks at compile time that a table is complete. */
const members = <const Table extends Record<string, Member>>(table: Table & Complete<Table>): Table => table

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

const unlessEmpty: Member['hasEffect'] = (value) => value !== ''

const ifJwtAuthenticates: Member['hasEffect'] = (_value, metadata) =>
  /_jwt$/.test(String(metadata['token_endpoint_auth_method']))

// Without keys a client can sign no request object, and `none` asks for nothing.
const ifItSigns: Member['hasEffect'] = (value, metadata) =>
  Boolean(metadata['require_signed_request_object']) ||
  (value !== 'none' && (metadata['jwks'] !== undefined || metadata['jwks_uri'] !== undefined))

/** The grant types that a client may have. The engine also has `implicit`, if ALLOW_IMPLICIT_AND_HYBRID is set. */
export const grantTypes: readonly string[] = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code',
]

/**
 * The members of client metadata, spelled as the specifications spell them: those that the engine knows, and Postern's
 * own. Each entry has all the facts about its member.
 */
// biome-ignore format: it is a table
export const clientMembers = members({
  // RFC 7591 §2, OpenID Connect Dynamic Client Registration 1.0 §2
  client_name: { schema: displayName.describe('Name shown to people.') },
  redirect_uris: { schema: list.describe('Where people return to after signing in, matched character by character.'), uri: redirectUriProblem },
  grant_types: { schema: list.describe(`Grants the client may use: ${grantTypes.join(', ')}, and implicit where it is allowed.`) },
  response_types: { schema: list.describe('What the client may ask the authorization endpoint for; empty when it never sends people there.') },
  response_modes: { schema: list.describe('How the authorization endpoint may deliver its answers to the client. Any way when left out.') },
  application_type: { schema: z.enum(['web', 'native']).describe('Whether it runs on a server or in a browser (web), or as an app on a device of the person (native).') },
  token_endpoint_auth_method: { schema: text.describe('How the client authenticates: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, or none when it cannot keep a secret.') },
  token_endpoint_auth_signing_alg: { schema: text.describe('Algorithm the client signs its authentication with. Any supported one when left out.'), hasEffect: ifJwtAuthenticates },
  scope: { schema: scope.describe('Scopes the client may ask for, separated by spaces.'), hasEffect: unlessEmpty },
  contacts: { schema: list.describe('Email addresses of the people responsible for the client.') },
  client_uri: { schema: text.describe('Home page of the client.'), uri: webUriProblem, hasEffect: unlessEmpty },
  logo_uri: { schema: text.describe('Logo of the client.'), uri: webUriProblem, hasEffect: unlessEmpty },
  policy_uri: { schema: text.describe('Where the client says how it treats personal data.'), uri: webUriProblem, hasEffect: unlessEmpty },
  tos_uri: { schema: text.describe('Terms of service of the client.'), uri: webUriProblem, hasEffect: unlessEmpty },
  jwks_uri: { schema: text.describe('Where the client publishes its public keys as a JWK Set.'), uri: webUriProblem },
  jwks: { schema: z.looseObject({ keys: z.array(z.looseObject({ kty: text })) }).describe('Public keys of the client as a JWK Set, when it cannot publish them itself.') },
  subject_type: { schema: z.enum(['public', 'pairwise']).describe('Whether all clients know a person by the same identifier (public) or this one by its own (pairwise).') },
  sector_identifier_uri: { schema: text.describe('A JSON list of redirect URIs whose clients know a person by one pairwise identifier.'), uri: webUriProblem },
  id_token_signed_response_alg: { schema: text.describe('Algorithm that ID tokens for the client are signed with.') },
  id_token_encrypted_response_alg: { schema: text.describe('Key management algorithm that ID tokens for the client are encrypted with.'), needs: 'ALLOW_ENCRYPTION' },
  id_token_encrypted_response_enc: { schema: text.describe('Content encryption algorithm that ID tokens for the client are encrypted with.'), needs: 'ALLOW_ENCRYPTION' },
  userinfo_signed_response_alg: { schema: text.describe('Algorithm that userinfo responses are signed with. They are plain JSON when left out.') },
  userinfo_encrypted_response_alg: { schema: text.describe('Key management algorithm that userinfo responses are encrypted with.'), needs: 'ALLOW_ENCRYPTION' },
  userinfo_encrypted_response_enc: { schema: text.describe('Content encryption algorithm that userinfo responses are encrypted with.'), needs: 'ALLOW_ENCRYPTION' },
  default_max_age: { schema: z.int().nonnegative().describe('Seconds after signing in when a person has to do it again, unless the request says otherwise.') },
  require_auth_time: { schema: flag.describe('Whether every ID token says when the person signed in.') },
  initiate_login_uri: { schema: text.describe('Where a third party can send people for the client to begin a login.'), uri: webUriProblem },

  // RFC 9101 §10.5, OpenID Connect Dynamic Client Registration 1.0 §2
  request_object_signing_alg: { schema: text.describe('Algorithm the client signs its request objects with. Any supported one when left out.'), hasEffect: ifItSigns },
  request_object_encryption_alg: { schema: text.describe('Key management algorithm the client may encrypt request objects with.'), needs: 'ALLOW_ENCRYPTION' },
  request_object_encryption_enc: { schema: text.describe('Content encryption algorithm the client may encrypt request objects with.'), needs: 'ALLOW_ENCRYPTION' },
  request_uris: { schema: list.describe('Where the client publishes its request objects.'), uri: webUriProblem, isExtra: true, needs: 'ALLOW_REQUEST_URI' },
  require_signed_request_object: { schema: flag.describe('Whether authorization requests of the client must be signed.') },

  // RFC 9126 §6
  require_pushed_authorization_requests: { schema: flag.describe('Whether the client must push its authorization requests.') },

  // RFC 9449 §5.2
  dpop_bound_access_tokens: { schema: flag.describe('Whether the client must prove possession of a key for every token it asks for.') },

  // RFC 9701 §6
  introspection_signed_response_alg: { schema: text.describe('Algorithm that introspection responses for the client are signed with.') },
  introspection_encrypted_response_alg: { schema: text.describe('Key management algorithm that introspection responses are encrypted with.'), needs: 'ALLOW_ENCRYPTION' },
  introspection_encrypted_response_enc: { schema: text.describe('Content encryption algorithm that introspection responses are encrypted with.'), needs: 'ALLOW_ENCRYPTION' },

  // JWT Secured Authorization Response Mode (JARM) §3
  authorization_signed_response_alg: { schema: text.describe('Algorithm that authorization responses for the client are signed with when it asks for signed ones.') },
  authorization_encrypted_response_alg: { schema: text.describe('Key management algorithm that authorization responses are encrypted with.'), needs: 'ALLOW_ENCRYPTION' },
  authorization_encrypted_response_enc: { schema: text.describe('Content encryption algorithm that authorization responses are encrypted with.'), needs: 'ALLOW_ENCRYPTION' },

  // OpenID Connect RP-Initiated Logout 1.0 §3.1
  post_logout_redirect_uris: { schema: list.describe('Where people return to after signing out, matched character by character.'), uri: postLogoutRedirectUriProblem },

  // OpenID Connect Back-Channel Logout 1.0 §2.2
  backchannel_logout_uri: { schema: text.describe('Where the server tells the client that a person signed out.'), uri: webUriProblem },
  backchannel_logout_session_required: { schema: flag.describe('Whether the server must tell the client which session has ended.') },

  // RFC 7591 §2.3
  software_statement: { schema: text.describe('Signed claims about the client.'), setBy: 'client', isExtra: true },

  // Postern's own
  localized: { schema: localized.describe('Its client_name, client_uri, logo_uri, policy_uri and tos_uri in other languages, as JSON by language tag: {"de": {"client_name": "Notizen"}}.'), isExtra: true },
  require_pkce: { schema: flag.describe('Whether the client must use PKCE, in place of the setting of the server. Public clients always must.'), setBy: 'administrative', isExtra: true },
  required_scopes: { schema: scope.describe('Scopes that a person cannot refuse without refusing the whole request, separated by spaces.'), setBy: 'administrative', isExtra: true },
  minimum_acr: { schema: text.describe('The least level of every sign-in to the client, as the acr value of a level in acr_values_supported.'), setBy: 'administrative', isExtra: true },
  first_party: { schema: flag.describe('Whether people are not asked for consent, because the operator answers for the client.'), setBy: 'first_party', harmless: false, isExtra: true },
  resources: { schema: z.array(resource).describe('Resource identifiers (RFC 8707) the client may ask tokens for. Any when left out.'), isExtra: true },
  dangerously_introspect_userinfo_tokens: { schema: flag.describe('Whether the client may introspect the access tokens that any client has for userinfo. Dangerous: an API that accepts these accepts the tokens of every app.'), setBy: 'administrative', isExtra: true },
  fapi_profile: { schema: z.literal('2.0').describe('The FAPI profile that the client is held to, the Security Profile 2.0. Its requests are then pushed, its tokens bound to a key by DPoP and its refresh tokens not rotated, and it authenticates by private_key_jwt.'), setBy: 'administrative', isExtra: true },
  id_token_claims: { schema: list.describe('Claims that ID tokens for the client contain as well, where their scope is consented to. Without it they are only at userinfo.'), isExtra: true },
  default_resource: { schema: resource.describe('Resource identifier for requests that name none, when they ask for scopes of that API or for no scopes. By default the only one of resources.'), isExtra: true },
})

type Members = typeof clientMembers
type GivenName = { [Name in keyof Members]: Members[Name] extends { setBy: 'client' } ? never : Name }[keyof Members]

const facts: readonly [name: string, Member][] = Object.entries(clientMembers)
const documented = ({ schema, needs }: Member) =>
  needs === undefined ? schema : schema.describe(`${schema.description} Needs ${needs}.`)
const given = facts.filter(([, { setBy }]) => setBy !== 'client').map(([name, member]) => [name, documented(member)])

/** The schema of the metadata that an administrator gives. */
export const clientMetadata = z
  .strictObject(Object.fromEntries(given) as { [Name in GivenName]: Members[Name]['schema'] })
  .partial()

/** Client metadata as an administrator gives it. */
export type ClientMetadataInput = z.input<typeof clientMetadata>

/** The rule for the URIs of each member that holds any. */
export const uriRules: readonly { name: string; problemOf: UriRule }[] = facts.flatMap(([name, { uri }]) =>
  uri ? [{ name, problemOf: uri }] : [],
)

/** The members that a policy has to allow, each with the rule that does, and the value that is allowed all the same. */
export const privileges = facts.flatMap(([name, { setBy, harmless }]) =>
  setBy === undefined || setBy === 'client' ? [] : [{ name, rule: setBy, harmless }],
)

/** The members that the configuration of the engine has to name. */
export const extraMembers: readonly string[] = facts.flatMap(([name, { isExtra }]) => (isExtra ? [name] : []))

/** Returns the schema of a member, if it is in the table. */
export const memberSchema = (name: string): z.ZodType | undefined => factsOf(name)?.schema

/**
 * Says whether a member has an effect on a client with this metadata. A member that is not in the table counts as
 * having one.
 */
export function hasEffect(name: string, metadata: Metadata): boolean {
  return factsOf(name)?.hasEffect?.(metadata[name], metadata) ?? true
}

const factsOf = (name: string) => facts.find(([known]) => known === name)?.[1]
