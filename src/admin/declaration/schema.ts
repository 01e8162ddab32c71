import { z } from 'zod'
import { clientMetadata } from '../../registration/metadata.ts'
import { partialPolicyRules } from '../../registration/rules.ts'
import * as clientSecrets from '../operations/client-secrets.ts'
import * as clients from '../operations/clients.ts'
import { id as upstreamId } from '../operations/found-upstream-providers.ts'
import * as registrationPolicies from '../operations/registration-policies.ts'
import * as resources from '../operations/resources.ts'
import * as upstreamProviders from '../operations/upstream-providers.ts'

const { name, scopes, token_format, token_ttl_seconds, token_type_header, serves_userinfo, client_id } =
  resources.settings

const place = {
  env: z.string().min(1).optional().describe('The environment variable that holds the secret.'),
  file: z.string().min(1).optional().describe('The file that holds the secret, relative to the declaration.'),
}
const isOne = ({ env, file }: { env?: string | undefined; file?: string | undefined }) =>
  (env === undefined) !== (file === undefined)
const either = 'must have either env or file'
const secretSource = z.strictObject({ ...place, overlap_seconds: clientSecrets.overlapSeconds }).refine(isOne, either)

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

const upstreamProvider = z.strictObject({
  preset: upstreamProviders.preset,
  ...upstreamProviders.fields,
  secret: z.strictObject(place).refine(isOne, either).optional().describe('Where its secret comes from.'),
  disabled: z.boolean().optional().describe('Whether it is disabled. If this is left out, it stays as it is.'),
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
  upstream_providers: z.record(upstreamId, upstreamProvider).optional(),
})

export type Declaration = z.output<typeof declaration>
export type DeclaredPolicy = z.output<typeof partialPolicyRules>
export type DeclaredResource = z.output<typeof resource>
export type DeclaredClient = z.output<typeof client>
export type DeclaredUpstreamProvider = z.output<typeof upstreamProvider>
export type SecretSource = z.output<typeof secretSource>
export type SecretPlace = Pick<SecretSource, 'env' | 'file'>
export type Section = 'policies' | 'resources' | 'clients' | 'upstream_providers'
