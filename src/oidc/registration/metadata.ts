import type Provider from 'oidc-provider'
import { type Configuration, errors } from 'oidc-provider'
import type { ClientMetadata } from '../../stores/clients/clients.ts'
import type { Client } from '../engine.ts'
import { isClaim, scopes } from '../scopes.ts'

/** Metadata with of its `scope` only what is OpenID Connect's: all the engine lets a client be registered for. */
export function withOpenScopes<Metadata extends Record<string, unknown>>(metadata: Metadata): Metadata {
  const { scope, ...rest } = metadata
  const open = words(scope).filter((name) => Object.hasOwn(scopes, name))
  return { ...rest, ...(open.length > 0 && { scope: open.join(' ') }) } as unknown as Metadata
}

/**
 * A client, checked and completed by the engine (RFC 7591 §2). Scopes of APIs, which the engine does not know,
 * are set aside while it looks and put back.
 */
export function parse(provider: Provider, metadata: ClientMetadata): Client {
  const client = Reflect.construct(provider.Client, [structuredClone(withOpenScopes(metadata))]) as Client
  const all = [...new Set(words(metadata['scope']))].join(' ')
  return all ? Object.assign(client, { scope: all }) : client
}

const words = (scope: unknown) => (typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [])

/** Metadata of our own, and what the engine does not check itself. It asks once for each property. */
export const extraClientMetadata: NonNullable<Configuration['extraClientMetadata']> = {
  properties: [
    'require_pkce',
    'required_scopes',
    'first_party',
    'resources',
    'default_resource',
    'dangerously_introspect_userinfo_tokens',
    'fapi_profile',
    'request_uris',
    'id_token_claims',
    'software_statement',
  ],
  validator(_ctx, name, value, metadata) {
    if (name === 'require_pkce' && value !== undefined && typeof value !== 'boolean') {
      throw new errors.InvalidClientMetadata('require_pkce must be a boolean')
    }
    if (name === 'required_scopes' && value !== undefined && typeof value !== 'string') {
      throw new errors.InvalidClientMetadata('required_scopes must be a string of scopes, separated by spaces')
    }
    if (name === 'fapi_profile' && value !== undefined && value !== '2.0') {
      throw new errors.InvalidClientMetadata('fapi_profile must be 2.0, or left out')
    }
    if (
      name === 'id_token_claims' &&
      value !== undefined &&
      !(Array.isArray(value) && value.every((claim) => isClaim(String(claim))))
    ) {
      throw new errors.InvalidClientMetadata('id_token_claims must be a list of claims that scopes have, such as email')
    }
    // RFC 6749 §4.4: anybody can say they are a public client.
    const isPublic = metadata.token_endpoint_auth_method === 'none'
    if (isPublic && metadata.grant_types?.includes('client_credentials')) {
      throw new errors.InvalidClientMetadata('token_endpoint_auth_method must not be none with client_credentials')
    }
  },
}
