import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Logger } from 'pino'
import type { Db } from '../../database/schema.ts'
import { isSameUri } from '../../registration/same-uris.ts'
import * as store from '../../stores/clients/resource-servers.ts'
import { adminResource, isAdminScope } from '../admin-resource.ts'
import { TemporarilyUnavailable } from '../request/storage.ts'
import { current } from '../request/work.ts'
import { scopesOfUserinfo } from '../scopes.ts'
import { delegatedScopes, excludesResource, machineScopes, type Registered } from './client-scopes.ts'
import { isMachine, targets } from './targets.ts'

type Indicators = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>
type TokenFacts = { kind: string; clientId?: string | undefined; aud?: string | string[] | undefined }

export type ResourceServers = {
  find(identifier: string): Promise<store.ResourceServer | undefined>
  /** Returns when each of these was registered, in milliseconds. */
  registrationsOf(identifiers: readonly string[]): Promise<Map<string, number>>
  indicators: Pick<Indicators, 'getResourceServerInfo' | 'defaultResource' | 'useGrantedResource'>
  mayIntrospect(ctx: KoaContextWithOIDC, client: Registered & { clientId: string }, token: TokenFacts): Promise<boolean>
}

const freshMs = 5_000 // the same bound on staleness as for clients

/** Creates access to the resource servers. There are few, so all are read together, at most every five seconds. */
export function createResourceServers({ db, issuer, log }: { db: Db; issuer: string; log: Logger }): ResourceServers {
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

  async function find(identifier: string): Promise<store.ResourceServer | undefined> {
    if (identifier === admin.identifier) return admin
    const known = await all()
    return (
      known.get(identifier) ?? [...known.values(), admin].find((server) => isSameUri(server.identifier, identifier))
    )
  }

  return {
    find,

    async registrationsOf(identifiers) {
      const found = await Promise.all(identifiers.map(find))
      return new Map(found.flatMap((server) => (server ? [[server.identifier, server.createdAtMs ?? 0]] : [])))
    },

    indicators: {
      async getResourceServerInfo(ctx, identifier, client) {
        const server = await find(identifier)
        const scope = isMachine(ctx)
          ? scopeOfMachine(ctx, client, server)
          : scopeForPeople(client, identifier, server === admin ? undefined : server)
        // The consent page shows only the scopes of the API. Its token also has the OpenID Connect scopes that the
        // person granted.
        const isIssuing = ctx.oidc.route === 'token' && !isMachine(ctx)
        if (server?.servesUserinfo && isIssuing) scope.push(...scopesOfUserinfo)
        if (!server) throw new errors.InvalidTarget('unknown resource')
        return {
          audience: server.identifier,
          scope: scope.join(' '),
          accessTokenFormat: server.tokenFormat,
          ...(server.tokenTtlSeconds !== undefined && { accessTokenTTL: server.tokenTtlSeconds }),
          ...(server.tokenFormat === 'jwt' && { jwt: { sign: { alg: 'RS256' as const } } }),
        }
      },
      ...targets({ admin, list: async () => [...(await all()).values()] }),
    },

    // RFC 7662 §4: a client that may not introspect gets the answer for a token that does not exist.
    async mayIntrospect(_ctx, client, token) {
      if (token.clientId === client.clientId) return true
      const audiences = [token.aud ?? []].flat()
      const audience = await Promise.all(audiences.map(find))
      if (audience.some((server) => server?.clientId === client.clientId)) return true
      const isForUserinfo = token.kind !== 'RefreshToken' && token.aud === undefined
      if (isForUserinfo && client['dangerously_introspect_userinfo_tokens'] === true) return true
      log.info(
        { requestId: current()?.requestId, clientId: client.clientId },
        `introspection returns inactive: ${refusalOf(client.clientId, token)}`,
      )
      return false
    },
  }
}

const asked = ({ oidc }: KoaContextWithOIDC) => [...oidc.requestParamScopes].filter(Boolean)

/** Returns why a client may not introspect a token, for the log: the client does not learn that the token exists. */
function refusalOf(clientId: string, { kind, aud }: TokenFacts): string {
  if (kind === 'RefreshToken') return 'the token is the refresh token of another client'
  if (aud !== undefined) return `the token is for ${aud}, an API that introspects as another client`
  const command = `postern client update ${clientId} --dangerously-introspect-userinfo-tokens true`
  return `the token is for userinfo. Have apps request one for the API, with resource=, or accept those of all apps: ${command}`
}

/**
 * Returns the scopes of an API that a client may ask people for. People cannot grant the admin API, which is passed as
 * `undefined`.
 */
function scopeForPeople(client: Registered, identifier: string, server: store.ResourceServer | undefined): string[] {
  if (excludesResource(client, identifier)) throw new errors.InvalidTarget('resource is not allowed for this client')
  if (!server) throw new errors.InvalidTarget('unknown resource')
  return delegatedScopes(client, server)
}

/**
 * Returns the scopes of an API that a machine is registered for. Nobody consents to its tokens, so the registration
 * alone decides. A scope beyond it is rejected rather than left out, and without `scope` a token has all of them (RFC
 * 6749 §3.3).
 */
function scopeOfMachine(
  ctx: KoaContextWithOIDC,
  client: Registered,
  server: store.ResourceServer | undefined,
): string[] {
  const registered = server ? machineScopes(client, server) : []
  // An API that does not exist gets the same words, so that a client does not learn which ones exist.
  if (registered.length === 0) {
    throw new errors.InvalidTarget('the client is not registered for any scope of this resource')
  }
  const refused = asked(ctx).find((name) => !registered.includes(name))
  if (refused !== undefined) throw new errors.InvalidScope('requested scope is not allowed', refused)
  if (asked(ctx).length === 0 && ctx.oidc.params) {
    // Nobody administers by default: a request must name the scopes of the admin API.
    if (registered.some(isAdminScope)) throw new errors.InvalidScope('scope must name what the token is for', '')
    ctx.oidc.params['scope'] = registered.join(' ')
  }
  return registered
}
