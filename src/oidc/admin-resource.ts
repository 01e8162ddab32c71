import type { ResourceServer } from '../stores/clients/resource-servers.ts'

/** Where the admin API is, below the issuer. */
export const adminPath = '/admin/api'

/** Where its metadata as a protected resource is (RFC 9728 §3.1). */
export const metadataPath = `/.well-known/oauth-protected-resource${adminPath}`

/** What a token can be good for at the admin API, and what that lets its holder do. `…:read` changes nothing. */
export const adminScopes = {
  'postern:clients': 'Register, change, disable and delete clients',
  'postern:clients:read': 'See clients',
  'postern:registration': 'Make and revoke registration tokens, and set registration policies',
  'postern:registration:read': 'See registration tokens and policies',
  'postern:resources': 'Create, change and delete resource servers',
  'postern:resources:read': 'See resource servers',
  'postern:accounts': 'Create, change, disable and delete accounts',
  'postern:accounts:read': 'See accounts',
  'postern:keys': 'Rotate and revoke keys',
  'postern:keys:read': 'See keys, though nothing secret of them',
  'postern:audit': 'See what happened',
} as const

export type AdminScope = keyof typeof adminScopes

/** Whether a scope is one of the admin API, which nobody gets unless an administrator names it for a client. */
export function isAdminScope(name: string): boolean {
  return Object.hasOwn(adminScopes, name)
}

/** The admin API as a resource server (RFC 8707) of its own provider. */
export function adminResource(issuer: string): ResourceServer {
  return {
    identifier: `${issuer}${adminPath}`,
    name: 'Postern admin API',
    scopes: { ...adminScopes },
    tokenFormat: 'opaque',
    tokenTtlSeconds: undefined,
    clientId: undefined,
  }
}
