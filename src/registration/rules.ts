import { z } from 'zod'
import { grantTypes, privileges } from './metadata.ts'
import { hosts, redirectUriRules } from './uri-rules.ts'

const administrative = new Intl.ListFormat('en').format(
  privileges.filter(({ rule }) => rule === 'administrative').map(({ name }) => name),
)

const names = z.array(z.string().min(1))
const longestSeconds = 100 * 365 * 86_400 // so that every program can still write the time of its end
const seconds = z.int().positive().max(longestSeconds).nullable()

/** The rules of a registration policy. They apply to completed metadata, whichever way a client is registered. */
export const policyRules = z.strictObject({
  grant_types: names.describe('Grant types that a client may have.'),
  response_types: names.describe('Response types that a client may have.'),
  token_endpoint_auth_methods: names.describe('Ways in which a client may authenticate.'),
  application_types: z.array(z.enum(['web', 'native'])).describe('Application types that a client may have.'),
  scopes: z
    .union([z.literal('*'), names.min(1)])
    .describe(
      'Scopes that a client may ask for, or * for all but those of the admin API. With client_credentials, a client may have a scope of an API only if the policy is administrative, or lists both the scope and, in resources, the API.',
    ),
  resources: z
    .union([z.literal('*'), z.array(z.string())])
    .describe('Resource identifiers that a client may ask tokens for, or * for any.'),
  redirect_uris: redirectUriRules.describe('Redirect URIs that a client may have.'),
  uri_hosts: hosts.describe('Hosts of all other URIs in the metadata, or * for any.'),
  max_uris: z.int().positive().describe('How many URIs a member may have.'),
  max_metadata_bytes: z.int().positive().describe('How large the metadata may be as JSON.'),
  max_clients: z
    .int()
    .nonnegative()
    .nullable()
    .describe('How many clients the policy may have, or null for any number.'),
  client_ttl_seconds: seconds.describe('Lifetime of a client, or null for no end.'),
  unused_ttl_seconds: seconds.describe('Time after which a client that was never used is removed, or null to keep it.'),
  secret_ttl_seconds: seconds.describe('Lifetime of a client secret, or null for no end.'),
  first_party: z.boolean().describe('Whether a client may be first party, so that nobody is asked for consent.'),
  administrative: z.boolean().describe(`Whether ${administrative} may be set.`),
  reduce: z
    .boolean()
    .describe(
      'Whether redirect URIs, grant types and response types that are not allowed are left out when a client registers itself, as long as one of each remains. Otherwise the whole registration is refused (RFC 7591 §3.2.1).',
    ),
  software_statement: z
    .enum(['optional', 'required', 'refused'])
    .describe('Whether a software statement (RFC 7591 §2.3) may or must be presented.'),
})

export type PolicyRules = z.output<typeof policyRules>
export type Policy = { name: string; rules: PolicyRules }

/** The rules that a stored policy sets itself; the others come from a built-in policy. */
export const partialPolicyRules = policyRules.extend({ redirect_uris: redirectUriRules.partial() }).partial()

/** The prefix of the scopes of the admin API. A policy has to name them: `*` does not include them. */
export const reservedPrefix = 'postern:'

const hour = 3_600
const day = 24 * hour

const byDefault: PolicyRules = {
  grant_types: [...grantTypes, 'implicit'],
  // The engine refuses all but `code` unless ALLOW_IMPLICIT_AND_HYBRID is set.
  response_types: ['code', 'id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token', 'none'],
  token_endpoint_auth_methods: [
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'private_key_jwt',
    'none',
  ],
  application_types: ['web', 'native'],
  scopes: '*',
  resources: '*',
  redirect_uris: {
    https: true,
    loopback: 'native',
    private_use_schemes: true,
    dangerous_schemes: [],
    private_hosts: [],
    hosts: '*',
  },
  uri_hosts: '*',
  max_uris: 20,
  max_metadata_bytes: 16_384,
  max_clients: null,
  client_ttl_seconds: null,
  unused_ttl_seconds: null,
  secret_ttl_seconds: null,
  first_party: false,
  administrative: false,
  reduce: false,
  software_statement: 'optional',
}

// Strangers get what a login needs, and no API until the operator lists it.
const byStrangers: PolicyRules = {
  ...byDefault,
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  resources: [],
  max_uris: 5,
  max_metadata_bytes: 5_120, // what draft-ietf-oauth-client-id-metadata-document recommends for a document
}

/** The built-in policies. A stored policy of the same name is laid over its built-in one. */
export const builtInPolicies = {
  /** For the holder of an initial access token (RFC 7591 §3). */
  default: byDefault,
  /** For anyone, where registration is open. */
  open: {
    ...byStrangers,
    reduce: true, // some apps register an address for each system that they run on
    max_clients: 1_000,
    client_ttl_seconds: 90 * day,
    unused_ttl_seconds: hour,
    secret_ttl_seconds: 90 * day,
  },
  /** For client id metadata documents. They are public, so they cannot contain a secret. */
  document: { ...byStrangers, token_endpoint_auth_methods: ['none', 'private_key_jwt'], max_clients: 10_000 },
  /** For administrators. */
  administrator: {
    ...byDefault,
    scopes: ['*', `${reservedPrefix}*`],
    redirect_uris: { ...byDefault.redirect_uris, loopback: 'any' },
    max_uris: 200,
    max_metadata_bytes: 262_144,
    first_party: true,
    administrative: true,
  },
} as const satisfies Record<string, PolicyRules>

export type BuiltInPolicyName = keyof typeof builtInPolicies

/**
 * Completes a policy: the rules stored for it are laid over the built-in policy of the same name, or over `default`.
 *
 * @throws z.ZodError when the rules are not valid.
 */
export function complete(name: string, partial: unknown = {}): Policy {
  const base: PolicyRules = isBuiltIn(name) ? builtInPolicies[name] : builtInPolicies.default
  const { redirect_uris, ...rules } = partialPolicyRules.parse(partial)
  return {
    name,
    rules: policyRules.parse({ ...base, ...rules, redirect_uris: { ...base.redirect_uris, ...redirect_uris } }),
  }
}

function isBuiltIn(name: string): name is BuiltInPolicyName {
  return Object.hasOwn(builtInPolicies, name)
}
