import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { isSameUri } from '../../registration/same-uris.ts'
import type { ResourceServer } from '../../stores/clients/resource-servers.ts'
import { sourceOf } from '../request/source.ts'
import { isOidcScope } from '../scopes.ts'
import { delegatedScopes, excludesResource, machineScopes, type Registered } from './client-scopes.ts'

type Indicators = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>
/** A code, or a refresh token that was issued for one. */
type Source = { resource?: string | string[]; scopes: Set<string> }
type Known = {
  admin: ResourceServer
  /** All resource servers except the admin API. */
  list(): Promise<ResourceServer[]>
}

/**
 * Chooses the API of a token where the request does not name it (RFC 8707 §2.2). Many clients send `resource` in the
 * authorization request at most. If only one API is possible, it is the target. If several are, the request is rejected
 * with a text that says what to send: a token without what was requested would look like success.
 *
 * The chosen API is judged as if the client had sent it as `resource`.
 */
export function targets({ admin, list }: Known): Pick<Indicators, 'defaultResource' | 'useGrantedResource'> {
  async function ofRequest(ctx: KoaContextWithOIDC, client: Registered): Promise<string | undefined> {
    const asked = [...ctx.oidc.requestParamScopes].filter(Boolean)
    const ofApis = asked.filter((name) => !isOidcScope(name))
    const own = resourcesOf(client)
    if (ofApis.length === 0 && (asked.length > 0 || own.length === 0)) return undefined

    const scopesAt = (server: ResourceServer) => {
      if (isMachine(ctx)) return machineScopes(client, server)
      return server === admin || excludesResource(client, server.identifier) ? [] : delegatedScopes(client, server)
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
    // A client that lists its APIs learns which of them are possible. To any other, the error names none of them.
    const isNamed = (identifier: string) =>
      own.some((uri) => isSameUri(uri, identifier)) || identifier === admin.identifier
    const named = candidates.map(({ identifier }) => identifier).filter(isNamed)
    if (candidates.length > 0) throw ambiguousTarget(named, [...all])
    const [refused] = ofApis
    if (isMachine(ctx) && refused !== undefined)
      throw new errors.InvalidScope('requested scope is not allowed', refused)
    return undefined // unknown scopes are ignored, and are not in the answer's `scope` (RFC 6749 §3.3, §5.1)
  }

  return {
    async defaultResource(ctx, client, oneOf) {
      if (!oneOf) return ofRequest(ctx, client)
      // The engine rejects a request that names several resources itself.
      return ctx.oidc.params?.['resource'] === undefined ? ofGrant(ctx, client) : oneOf
    },
    useGrantedResource: async (ctx, source) => grantedOf(ctx, source as unknown as Source).length > 0,
  }
}

/** Returns whether a client requests a token for itself, and not one that a person consents to. */
export const isMachine = ({ oidc }: KoaContextWithOIDC): boolean => oidc.params?.['grant_type'] === 'client_credentials'

/**
 * Moves the API of the token that was just issued to the front of those of its login, so that a refresh that names none
 * is for the same API (RFC 8707 §2.2).
 */
export function rememberTarget({ oidc }: KoaContextWithOIDC, source: object): void {
  const { resource } = source as Source
  const issuedFor = oidc.entities.AccessToken?.aud
  if (!Array.isArray(resource) || typeof issuedFor !== 'string' || !resource.includes(issuedFor)) return
  Object.assign(source, { resource: [issuedFor, ...resource.filter((identifier) => identifier !== issuedFor)] })
}

/**
 * Returns the API of a login that a token is for; `undefined` if only OpenID Connect scopes are left, for a token for
 * userinfo.
 */
function ofGrant(ctx: KoaContextWithOIDC, client: Registered): string | undefined {
  const presented = sourceOf(ctx)
  const source = presented as unknown as Source
  const granted = grantedOf(ctx, source)
  const issuedFor = presented?.kind === 'RefreshToken' ? [source.resource].flat()[0] : undefined
  const preferred = [issuedFor, defaultOf(client)].filter((uri) => uri !== undefined)
  const [target] = preferred.flatMap((one) => granted.filter((uri) => isSameUri(uri, one)))
  if (target === undefined && granted.length > 1) throw ambiguousTarget(granted, [])
  return target ?? granted[0]
}

/** Returns the APIs of a login with a scope that is requested and consented to. */
function grantedOf({ oidc }: KoaContextWithOIDC, { resource, scopes }: Source): string[] {
  const asked = oidc.params?.['scope'] ? oidc.requestParamScopes : scopes
  const grant = oidc.entities.Grant
  const ofApis = new Set([...asked].filter((name) => !isOidcScope(name)))
  return [resource ?? []].flat().filter((identifier) => grant?.getResourceScopeFiltered(identifier, ofApis))
}

/** Returns the APIs that a client's own metadata names. */
function resourcesOf({ resources, default_resource: byDefault }: Registered): string[] {
  return [resources, byDefault].flat().filter((uri) => typeof uri === 'string')
}

/** Returns the API that a client means when it names none: its `default_resource`, or the only one that it lists. */
function defaultOf(client: Registered): string | undefined {
  const { default_resource: byDefault, resources } = client
  if (typeof byDefault === 'string') return byDefault
  return Array.isArray(resources) && resources.length === 1 ? resources[0] : undefined
}

function ambiguousTarget(identifiers: string[], names: string[]): Error {
  const which = identifiers.length > 0 ? identifiers.join(' or resource=') : 'the identifier of the API'
  const why =
    names.length > 0 ? `scope ${names.join(' ')} belongs to an API` : 'the request does not say which API it is for'
  return Object.assign(new errors.InvalidTarget(), { error_description: `${why}: ask with resource=${which}` })
}
