import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { isSameUri } from '../../registration/same-uris.ts'
import type { ResourceServer } from '../../stores/clients/resource-servers.ts'
import { sourceOf } from '../request/source.ts'
import { isScope } from '../scopes.ts'
import { type Registered, registeredScopes, scopesFor, unregistered } from './client-scopes.ts'

type Indicators = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>
/** A code, or the refresh token that came of one. */
type Source = { resource?: string | string[]; scopes: Set<string> }
type Known = {
  admin: ResourceServer
  /** All resource servers but the admin API. */
  list(): Promise<ResourceServer[]>
}

/**
 * Chooses the API a token is for where the request does not say (RFC 8707 §2.2). Many clients send `resource` in the
 * authorization request at most. Where one API is meant, it is the target. Where several can be, the request is refused
 * with what to send: a token without what was asked for would look like success.
 *
 * What is chosen is a `resource` that the client could have sent, and is judged as if it had.
 */
export function targets({ admin, list }: Known): Pick<Indicators, 'defaultResource' | 'useGrantedResource'> {
  async function ofRequest(ctx: KoaContextWithOIDC, client: Registered): Promise<string | undefined> {
    const asked = [...ctx.oidc.requestParamScopes].filter(Boolean)
    const ofApis = asked.filter((name) => !isScope(name))
    const own = resourcesOf(client)
    if (ofApis.length === 0 && (asked.length > 0 || own.length === 0)) return undefined

    const scopesAt = (server: ResourceServer) => {
      if (isMachine(ctx)) return registeredScopes(client, server)
      return server === admin || unregistered(client, server.identifier) ? [] : scopesFor(client, server)
    }
    const askedAt = (server: ResourceServer) => ofApis.filter((name) => scopesAt(server).includes(name))
    const candidates = [...(await list()), admin].filter((server) =>
      ofApis.length > 0
        ? askedAt(server).length > 0
        : own.some((uri) => isSameUri(uri, server.identifier)) && scopesAt(server).length > 0,
    )
    const byDefault = candidates.find(({ identifier }) => isSameUri(identifier, defaultOf(client) ?? ''))
    const all = new Set(candidates.flatMap(askedAt))
    if (byDefault && askedAt(byDefault).length === all.size) return byDefault.identifier
    // A client that lists its APIs is told which of them it may mean, and no other finds out which there are.
    const isTold = (identifier: string) =>
      own.some((uri) => isSameUri(uri, identifier)) || identifier === admin.identifier
    const told = candidates.map(({ identifier }) => identifier).filter(isTold)
    if (candidates.length > 0) throw askWith(told, [...all])
    const [refused] = ofApis
    if (isMachine(ctx) && refused !== undefined)
      throw new errors.InvalidScope('requested scope is not allowed', refused)
    return undefined // what nobody knows is ignored, and is not in the answer's `scope` (RFC 6749 §3.3, §5.1)
  }

  return {
    async defaultResource(ctx, client, oneOf) {
      if (!oneOf) return ofRequest(ctx, client)
      // What the request itself has several of is refused by the engine.
      return ctx.oidc.params?.['resource'] === undefined ? ofGrant(ctx, client) : oneOf
    },
    useGrantedResource: async (ctx, source) => grantedOf(ctx, source as unknown as Source).length > 0,
  }
}

/** Whether a client asks for a token of its own, and not one that a person consents to. */
export const isMachine = ({ oidc }: KoaContextWithOIDC): boolean => oidc.params?.['grant_type'] === 'client_credentials'

/**
 * Puts the API that a token was just issued for first among those of a login, so that a refresh that names none is for
 * the same (RFC 8707 §2.2).
 */
export function rememberTarget({ oidc }: KoaContextWithOIDC, source: object): void {
  const { resource } = source as Source
  const issuedFor = oidc.entities.AccessToken?.aud
  if (!Array.isArray(resource) || typeof issuedFor !== 'string' || !resource.includes(issuedFor)) return
  Object.assign(source, { resource: [issuedFor, ...resource.filter((identifier) => identifier !== issuedFor)] })
}

/** The API of a login that a token is for. One that only OpenID Connect is left of is for userinfo. */
function ofGrant(ctx: KoaContextWithOIDC, client: Registered): string | undefined {
  const presented = sourceOf(ctx)
  const source = presented as unknown as Source
  const granted = grantedOf(ctx, source)
  const issuedFor = presented?.kind === 'RefreshToken' ? [source.resource].flat()[0] : undefined
  const meant = [issuedFor, defaultOf(client)].filter((uri) => uri !== undefined)
  const [target] = meant.flatMap((one) => granted.filter((uri) => isSameUri(uri, one)))
  if (target === undefined && granted.length > 1) throw askWith(granted, [])
  return target ?? granted[0]
}

/** The APIs of a login that have a scope which is asked for and consented to. */
function grantedOf({ oidc }: KoaContextWithOIDC, { resource, scopes }: Source): string[] {
  const asked = oidc.params?.['scope'] ? oidc.requestParamScopes : scopes
  const grant = oidc.entities.Grant
  const ofApis = new Set([...asked].filter((name) => !isScope(name)))
  return [resource ?? []].flat().filter((identifier) => grant?.getResourceScopeFiltered(identifier, ofApis))
}

/** The APIs that a client's own metadata names. */
function resourcesOf({ resources, default_resource: byDefault }: Registered): string[] {
  return [resources, byDefault].flat().filter((uri) => typeof uri === 'string')
}

/** The API that a client means when it names none: the one it is registered with as such, or the only one it lists. */
function defaultOf(client: Registered): string | undefined {
  const { default_resource: byDefault, resources } = client
  if (typeof byDefault === 'string') return byDefault
  return Array.isArray(resources) && resources.length === 1 ? resources[0] : undefined
}

function askWith(identifiers: string[], names: string[]): Error {
  const which = identifiers.length > 0 ? identifiers.join(' or resource=') : 'the identifier of the API'
  const why =
    names.length > 0 ? `scope ${names.join(' ')} is of an API` : 'the request does not say for which API it is'
  return Object.assign(new errors.InvalidTarget(), { error_description: `${why}: ask with resource=${which}` })
}
