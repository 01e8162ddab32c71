import type { Context } from 'koa'
import type Provider from 'oidc-provider'
import { type AdminScope, adminPath, adminResource } from '../../oidc/admin-resource.ts'
import type { ClientCache } from '../../oidc/clients.ts'
import { translated } from '../../oidc/storage.ts'
import { Problem } from './problems.ts'

/** Where the metadata of the admin API as a protected resource is (RFC 9728 §3.1). */
export const metadataPath = `/.well-known/oauth-protected-resource${adminPath}`

/** Lets a request through that brings an access token for the admin API, and says whose it is and what it is good for. */
export type Authorize = (ctx: Context, scope: AdminScope) => Promise<{ clientId: string; scopes: string[] }>

/**
 * The tokens of the admin API are those of machines: issued by client credentials, for this resource, to a client that
 * an administrator registered for the scope. A person's token never is one, whatever they consented to.
 */
export function createAuthorize({
  provider,
  clients,
  issuer,
}: {
  provider: Provider
  clients: ClientCache
  issuer: string
}): Authorize {
  const { identifier } = adminResource(issuer)

  function refuse(
    ctx: Context,
    kind: 'unauthenticated' | 'invalid-token' | 'insufficient-scope',
    scope?: string,
  ): never {
    const error = {
      unauthenticated: undefined,
      'invalid-token': 'invalid_token',
      'insufficient-scope': 'insufficient_scope',
    }
    const parameters = { realm: identifier, resource_metadata: `${issuer}${metadataPath}`, error: error[kind], scope }
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
    ctx.set('WWW-Authenticate', `Bearer ${given.map(([name, value]) => `${name}="${value}"`).join(', ')}`)
    throw new Problem(kind, scope && `This needs the scope ${scope}.`)
  }

  return async (ctx, scope) => {
    // Nowhere else is a token looked for: in a query or a form it would end up in logs (RFC 6750 §5.3).
    const [scheme = '', value, ...rest] = ctx.get('Authorization').split(' ')
    if (scheme.toLowerCase() !== 'bearer') refuse(ctx, 'unauthenticated')
    if (!value || rest.length > 0) throw new Problem('malformed-request', 'The Authorization header is malformed.')
    const token = await translated(provider.ClientCredentials.find(value))
    // One that is bound to a key is worth nothing without a proof of it, which is not asked for here (RFC 9449 §7.1).
    const isForUs = token !== undefined && [token.aud].flat().includes(identifier) && !token.isSenderConstrained()
    const client = isForUs ? await translated(clients.find(String(token.clientId))) : undefined
    if (!token || !client) return refuse(ctx, 'invalid-token')
    const granted = token.scope?.split(' ') ?? []
    const isGranted = granted.includes(scope) || granted.includes(scope.replace(/:read$/, ''))
    return isGranted
      ? { clientId: client.metadata.client_id, scopes: granted }
      : refuse(ctx, 'insufficient-scope', scope)
  }
}
