import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC, TokenEndpointGrantContext } from 'oidc-provider'
import type { ResourceServers } from './resource-servers.ts'

type ProviderClass = typeof Provider
type Names = string | readonly string[] | ReadonlySet<string> | undefined

/**
 * Accepts any equivalent spelling of an API's identifier (RFC 3986 §6.2). From here on, and in everything that is
 * stored and issued, only the registered spelling occurs.
 *
 * @returns an engine whose token endpoint respells `resource`. At the other endpoints, `respellResources` does.
 */
export function withSpellings(Engine: ProviderClass, find: ResourceServers['find']): ProviderClass {
  return class extends Engine {
    override registerGrantType<Params extends object>(
      name: string,
      handler: (ctx: TokenEndpointGrantContext<Params>) => unknown,
      ...others: [params?: Names, duplicates?: Names]
    ): void {
      const respelled = async (ctx: TokenEndpointGrantContext<Params>) => {
        const { params = {} } = ctx.oidc as { params?: Record<string, unknown> }
        const { resource } = params
        if (typeof resource === 'string') params['resource'] = (await find(resource))?.identifier ?? resource
        await handler(ctx)
      }
      super.registerGrantType(name, respelled, ...others)
    }
  }
}

/** Replaces the spelling of each API in an authorization request by the registered one. */
export function respellResources({ oidc: { params = {}, resourceServers = {} } }: KoaContextWithOIDC): void {
  for (const [identifier, server] of Object.entries(resourceServers)) {
    const { audience } = server
    if (audience === undefined || audience === identifier) continue
    delete resourceServers[identifier]
    resourceServers[audience] = Reflect.construct(server.constructor, [audience, server])
  }
  if (params['resource'] === undefined) return
  const identifiers = Object.keys(resourceServers)
  params['resource'] = identifiers.length === 1 ? identifiers[0] : identifiers
}
