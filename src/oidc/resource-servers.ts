import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Db } from '../database/schema.ts'
import * as store from '../stores/resource-servers.ts'
import { adminResource } from './admin-resource.ts'
import { TemporarilyUnavailable } from './storage.ts'

type Indicators = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>
type TokenFacts = { clientId?: string | undefined; aud?: string | string[] | undefined }

export type ResourceServers = {
  find(identifier: string): Promise<store.ResourceServer | undefined>
  indicators: Pick<Indicators, 'getResourceServerInfo' | 'defaultResource' | 'useGrantedResource'>
  mayIntrospect(ctx: KoaContextWithOIDC, client: { clientId: string }, token: TokenFacts): Promise<boolean>
}

const freshMs = 5_000 // the same bound on staleness as for clients

/** The resource servers, of which there are few: read together, at most every five seconds. */
export function createResourceServers(db: Db, issuer: string): ResourceServers {
  const admin = adminResource(issuer)
  let servers: Promise<Map<string, store.ResourceServer>> | undefined
  let readAt = 0

  function all(): Promise<Map<string, store.ResourceServer>> {
    if (!servers || Date.now() - readAt >= freshMs) {
      readAt = Date.now()
      servers = store.list(db).then(
        (list) => new Map(list.map((server) => [server.identifier, server])),
        (error) => {
          servers = undefined
          throw new TemporarilyUnavailable(error)
        },
      )
    }
    return servers
  }

  const find = async (identifier: string) => (identifier === admin.identifier ? admin : (await all()).get(identifier))

  return {
    find,

    indicators: {
      async getResourceServerInfo(ctx, identifier, client) {
        if (!mayAskFor(client, identifier)) throw new errors.InvalidTarget('resource is not allowed for this client')
        const server = await find(identifier)
        // Nobody can consent to what is not theirs to give: only a machine gets tokens for the admin API.
        const isOutOfReach = server === admin && ctx.oidc.params?.['grant_type'] !== 'client_credentials'
        if (!server || isOutOfReach) throw new errors.InvalidTarget('unknown resource')
        const isMachine = ctx.oidc.params?.['grant_type'] === 'client_credentials' // told so, instead of getting less
        return {
          audience: server.identifier,
          scope: (isMachine ? Object.keys(server.scopes) : scopesFor(client, server)).join(' '),
          accessTokenFormat: server.tokenFormat,
          ...(server.tokenTtlSeconds !== undefined && { accessTokenTTL: server.tokenTtlSeconds }),
          ...(server.tokenFormat === 'jwt' && { jwt: { sign: { alg: 'RS256' as const } } }),
        }
      },
      // Without `resource` in the token request the token is for userinfo, not for an API that was merely consented to.
      defaultResource: async (_ctx, _client, oneOf) => oneOf,
      useGrantedResource: async () => false,
    },

    // RFC 7662 §4: whoever may not ask gets exactly what is said of a token that does not exist.
    async mayIntrospect(_ctx, client, token) {
      if (token.clientId === client.clientId) return true
      const audiences = [token.aud ?? []].flat()
      const audience = await Promise.all(audiences.map(find))
      return audience.some((server) => server?.clientId === client.clientId)
    },
  }
}

/** Whether a client may have tokens for a resource: for those its metadata lists, or for any if it has no list. */
function mayAskFor(client: { [member: string]: unknown }, identifier: string): boolean {
  const { resources } = client
  return resources === undefined || (Array.isArray(resources) && resources.includes(identifier))
}

/**
 * The scopes of a resource server that a client may ask people for. Its `scope` bounds them as it does those of OpenID
 * Connect (RFC 7591 §2): the engine knows only these. What is beyond is ignored (RFC 6749 §3.3), so that clients that ask
 * for all there is get what is theirs.
 */
export function scopesFor({ scope }: { scope?: string | undefined }, server: store.ResourceServer): string[] {
  const registered = scope?.split(' ')
  return Object.keys(server.scopes).filter((name) => registered?.includes(name) ?? true)
}
