import type { ResourceServer } from '../stores/clients/resource-servers.ts'

/** The path of the admin API, below the issuer. */
export const adminPath = '/admin/api'

/** The path of its metadata as a protected resource (RFC 9728 §3.1). */
export const metadataPath = `/.well-known/oauth-protected-resource${adminPath}`

/** The scopes of the admin API, and what each allows. A scope that ends in `:read` changes nothing. */
export const adminScopes = {
  'postern:clients': 'Register, change, disable and delete clients',
  'postern:clients:read': 'See clients',
  'postern:registration': 'Create and revoke registration tokens, and set registration policies',
  'postern:registration:read': 'See registration tokens and policies',
  'postern:resources': 'Create, change and delete resource servers',
  'postern:resources:read': 'See resource servers',
  'postern:accounts': 'Create, change, disable and delete accounts',
  'postern:accounts:read': 'See accounts',
  'postern:upstream': 'Set up, change and delete the providers that people may sign in with',
  'postern:upstream:read': 'See the providers that people may sign in with',
  'postern:keys': 'Rotate and revoke keys',
  'postern:keys:read': 'See keys, without their secret parts',
  'postern:mail': 'Read, retry and test mails, which contain links that open accounts',
  'postern:mail:read': 'See which mails were sent, without their content',
  'postern:audit': 'See the audit log',
} as const

export type AdminScope = keyof typeof adminScopes

/** Returns whether a scope belongs to the admin API. A client has such a scope only if an administrator names it. */
export function isAdminScope(name: string): boolean {
  return Object.hasOwn(adminScopes, name)
}

/** Returns the admin API as a resource server (RFC 8707) of its own provider. */
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
