import { reservedPrefix } from '../../registration/rules.ts'
import { isSameUri } from '../../registration/same-uris.ts'
import type { ResourceServer } from '../../stores/clients/resource-servers.ts'
import { isScope, scopeOf } from '../scopes.ts'

/** What a client is registered for, as the engine has it. */
export type Registered = { scope?: string | undefined; [member: string]: unknown }

type Api = Pick<ResourceServer, 'identifier' | 'scopes'>

const words = (scope: string | undefined) => scope?.split(' ').filter(Boolean)

/** Whether a client's metadata lists resources, and leaves this one out. Without a list it may ask people for any. */
export function unregistered({ resources }: Registered, identifier: string): boolean {
  return (
    resources !== undefined &&
    !(Array.isArray(resources) && resources.some((uri) => isSameUri(String(uri), identifier)))
  )
}

/** The scopes of OpenID Connect among these that a client may have (RFC 7591 §2): all of them if it has no `scope`. */
export function openScopes({ scope }: Registered, names: Iterable<string>): string[] {
  const registered = words(scope)
  return [...names].filter((name) => isScope(name) && (registered?.includes(name) ?? true))
}

/** The scopes of OpenID Connect that a person cannot refuse without refusing the whole request. */
export function requiredScopes({ required_scopes: required }: Registered): string[] {
  return ['openid', ...(typeof required === 'string' ? (words(required) ?? []) : [])]
}

/** Whether a client may have a claim that it asks for by name: one of its scopes has it, or no scope has. */
export function mayHaveClaim(client: Registered, name: string): boolean {
  const scope = scopeOf(name)
  return scope === undefined || openScopes(client, [scope]).length > 0
}

/**
 * The scopes of an API that a client may ask people for. Its `scope` bounds them as it does those of OpenID
 * Connect (RFC 7591 §2): the engine knows only these. What is beyond is ignored (RFC 6749 §3.3), so that clients that ask
 * for all there is get what is theirs.
 */
export function scopesFor({ scope }: Registered, { scopes }: Pick<Api, 'scopes'>): string[] {
  const registered = words(scope)
  return Object.keys(scopes).filter((name) => registered?.includes(name) ?? true)
}

/**
 * The scopes of an API that a client has by itself, with client credentials. A scope is a pair of resource and name, so
 * both have to be in its metadata (docs/decisions/0013): the resource in `resources`, the name in `scope`. The names of
 * the admin API are of no other. A name that OpenID Connect has is in the `scope` of any client, and counts for no API.
 */
export function registeredScopes(client: Registered, { identifier, scopes }: Api): string[] {
  if (unregistered(client, identifier)) return []
  const isListed = client['resources'] !== undefined
  const registered = words(client.scope) ?? []
  return Object.keys(scopes).filter(
    (name) => registered.includes(name) && !isScope(name) && (isListed || name.startsWith(reservedPrefix)),
  )
}
