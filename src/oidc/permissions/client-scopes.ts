import { reservedPrefix } from '../../registration/rules.ts'
import { isSameUri } from '../../registration/same-uris.ts'
import type { ResourceServer } from '../../stores/clients/resource-servers.ts'
import { isOidcScope, scopeOf } from '../scopes.ts'

/** The metadata of a client that bounds its permissions, in the engine's form. */
export type Registered = { scope?: string | undefined; [member: string]: unknown }

type Api = Pick<ResourceServer, 'identifier' | 'scopes'>

const words = (scope: string | undefined) => scope?.split(' ').filter(Boolean)

/**
 * Returns whether a client's metadata lists resources and leaves this one out. A client without a list may ask people
 * for any.
 */
export function excludesResource({ resources }: Registered, identifier: string): boolean {
  return (
    resources !== undefined &&
    !(Array.isArray(resources) && resources.some((uri) => isSameUri(String(uri), identifier)))
  )
}

/**
 * Returns those of the names that are OpenID Connect scopes and that a client may have (RFC 7591 §2). A client without
 * `scope` may have all of them.
 */
export function oidcScopes({ scope }: Registered, names: Iterable<string>): string[] {
  const registered = words(scope)
  return [...names].filter((name) => isOidcScope(name) && (registered?.includes(name) ?? true))
}

/** Returns the OpenID Connect scopes that a person cannot deny without denying the whole request. */
export function requiredScopes({ required_scopes: required }: Registered): string[] {
  return ['openid', ...(typeof required === 'string' ? (words(required) ?? []) : [])]
}

/**
 * Returns whether a client may have a claim that it requests by name: one of its scopes releases the claim, or no scope
 * does.
 */
export function mayHaveClaim(client: Registered, name: string): boolean {
  const scope = scopeOf(name)
  return scope === undefined || oidcScopes(client, [scope]).length > 0
}

/**
 * Returns the scopes of an API that a client may ask people for. The client's `scope` bounds them as it bounds those of
 * OpenID Connect (RFC 7591 §2), which are the only ones that the engine knows. Scopes beyond it are ignored (RFC 6749
 * §3.3), so that a client that requests everything gets what it may have.
 */
export function delegatedScopes({ scope }: Registered, { scopes }: Pick<Api, 'scopes'>): string[] {
  const registered = words(scope)
  return Object.keys(scopes).filter((name) => registered?.includes(name) ?? true)
}

/**
 * Returns the scopes of an API that a client has by itself, with client credentials. A scope is a pair of resource and
 * name, so both must be in the client's metadata (docs/decisions/0013): the resource in `resources`, the name in
 * `scope`. A name of the admin API needs no resource, because no other API has it. A name of OpenID Connect is in the
 * `scope` of any client, so it counts for no API.
 */
export function machineScopes(client: Registered, { identifier, scopes }: Api): string[] {
  if (excludesResource(client, identifier)) return []
  const isListed = client['resources'] !== undefined
  const registered = words(client.scope) ?? []
  return Object.keys(scopes).filter(
    (name) => registered.includes(name) && !isOidcScope(name) && (isListed || name.startsWith(reservedPrefix)),
  )
}
