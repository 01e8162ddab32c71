import { z } from 'zod'
import { clientMetadata } from '../../registration/metadata.ts'
import { partialPolicyRules } from '../../registration/rules.ts'
import * as clientSecrets from '../operations/client-secrets.ts'
import * as clients from '../operations/clients.ts'
import * as registrationPolicies from '../operations/registration-policies.ts'
import * as resources from '../operations/resources.ts'

const { name, scopes, token_format, token_ttl_seconds, token_type_header, serves_userinfo, client_id } =
  resources.settings

const secretSource = z
  .strictObject({
    env: z.string().min(1).optional().describe('The environment variable that holds the secret.'),
    file: z.string().min(1).optional().describe('The file that holds the secret, relative to the declaration.'),
    overlap_seconds: clientSecrets.overlapSeconds,
  })
  .refine(({ env, file }) => (env === undefined) !== (file === undefined), 'must have either env or file')

const resource = z.strictObject({
  name: name.optional(),
  scopes,
  token_format: token_format.default('opaque'),
  token_ttl_seconds: token_ttl_seconds.optional(),
  token_type_header: token_type_header.default('at+jwt'),
  serves_userinfo: serves_userinfo.default(false),
  client_id: client_id.optional(),
})

const client = clientMetadata.extend({
  policy: z.string().default('administrator').describe('The registration policy that applies to it.'),
  disabled: z.boolean().optional().describe('Whether it is disabled. If this is left out, the client stays as it is.'),
  client_secret: secretSource.optional().describe('Where its secret comes from. Default: a generated secret.'),
})

/**
 * The declaration of a set-up. An entry is complete: a field left out has its default. A section left out is not touched,
 * whereas an empty section declares that there is nothing of its kind.
 */
export const declaration = z.strictObject({
  version: z.literal(1),
  policies: z.record(registrationPolicies.name, partialPolicyRules).optional(),
  resources: z.record(resources.identifier, resource).optional(),
  clients: z.record(clients.newClientId, client).optional(),
})

export type Declaration = z.output<typeof declaration>
export type DeclaredPolicy = z.output<typeof partialPolicyRules>
export type DeclaredResource = z.output<typeof resource>
export type DeclaredClient = z.output<typeof client>
export type SecretSource = z.output<typeof secretSource>
export type Section = 'policies' | 'resources' | 'clients'
