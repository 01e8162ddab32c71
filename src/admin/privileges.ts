import { adminScopes, isAdminScope } from '../oidc/admin-resource.ts'
import { type Policy, reservedPrefix } from '../registration/rules.ts'
import { OperationError, type Performer } from './operation.ts'

const all = `${reservedPrefix}*`

/**
 * Asserts that the performer has every admin API scope among `names`, and that each of them exists. Otherwise somebody who
 * may register clients, set registration policies or obtain a client's secret could create a client that may do
 * everything. An operator at the command line has all scopes.
 *
 * @param names scopes as in client metadata or in a policy, where `postern:*` stands for all scopes of the admin API
 * @throws OperationError if a scope is missing or unknown.
 */
export function assertMayHandOn({ adminScopes: held }: Performer, names: readonly string[], field: string): void {
  const unknown = names.find((name) => name.startsWith(reservedPrefix) && name !== all && !isAdminScope(name))
  if (unknown !== undefined) throw new OperationError('invalid', { field, message: `There is no scope ${unknown}.` })
  if (held === undefined) return
  const wanted = names.flatMap((name) => (name === all ? Object.keys(adminScopes) : [name]))
  const missing = wanted
    .filter((name) => name.startsWith(reservedPrefix))
    .find((name) => !held.includes(name) && !held.includes(name.replace(/:read$/, '')))
  if (missing === undefined) return
  throw new OperationError('forbidden', {
    field,
    rule: 'privilege',
    message: `This concerns the scope ${missing}, which your access token does not have.`,
  })
}

/** Returns the scopes in the `scope` of a client's metadata. */
export function scopesOf(metadata: Record<string, unknown> | undefined): string[] {
  return String(metadata?.['scope'] ?? '')
    .split(' ')
    .filter(Boolean)
}

/** Returns the scopes that a policy lists by name. `*` includes no scope of the admin API. */
export function scopesIn({ rules }: Policy): string[] {
  return rules.scopes === '*' ? [] : rules.scopes
}
