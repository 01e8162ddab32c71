import type Provider from 'oidc-provider'
import { type Configuration, errors } from 'oidc-provider'
import type { Level } from '../../authentication/levels.ts'
import { extraMembers, memberSchema } from '../../registration/metadata.ts'
import type { ClientMetadata } from '../../stores/clients/clients.ts'
import type { Client } from '../engine.ts'
import { isClaim, scopes } from '../scopes.ts'

/**
 * Returns metadata whose `scope` keeps only OpenID Connect scopes, because the engine registers clients for no others.
 */
export function withOidcScopes<Metadata extends Record<string, unknown>>(metadata: Metadata): Metadata {
  const { scope, ...rest } = metadata
  const open = words(scope).filter((name) => Object.hasOwn(scopes, name))
  return { ...rest, ...(open.length > 0 && { scope: open.join(' ') }) } as unknown as Metadata
}

/**
 * Has the engine check and complete the metadata of a client (RFC 7591 §2). The engine does not know the scopes of
 * APIs, so they are removed before and put back after.
 */
export function parse(provider: Provider, metadata: ClientMetadata): Client {
  const client = Reflect.construct(provider.Client, [structuredClone(withOidcScopes(metadata))]) as Client
  const all = [...new Set(words(metadata['scope']))].join(' ')
  return all ? Object.assign(client, { scope: all }) : client
}

const words = (scope: unknown) => (typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [])

/** The members that the engine does not know by itself. It calls the validator once for each of them. */
export const extraClientMetadata = (levels: readonly Level[]): NonNullable<Configuration['extraClientMetadata']> => ({
  properties: [...extraMembers],
  validator(_ctx, name, value, metadata) {
    const issue = value === undefined ? undefined : memberSchema(name)?.safeParse(value).error?.issues[0]
    if (issue) throw new errors.InvalidClientMetadata(`${name}: ${issue.message}`)
    if (name === 'id_token_claims' && ![value ?? []].flat().every((claim) => isClaim(String(claim)))) {
      throw new errors.InvalidClientMetadata('id_token_claims must be a list of claims that scopes have, such as email')
    }
    // RFC 6749 §4.4: anyone can claim to be a public client.
    const isPublic = metadata.token_endpoint_auth_method === 'none'
    if (isPublic && metadata.grant_types?.includes('client_credentials')) {
      throw new errors.InvalidClientMetadata('token_endpoint_auth_method must not be none with client_credentials')
    }
    if (name === 'minimum_acr' && value !== undefined && !levels.some(({ acr }) => acr === value)) {
      const known = levels.map(({ acr }) => acr).join(', ')
      throw new errors.InvalidClientMetadata(`minimum_acr must be one of ${known}`)
    }
  },
})
