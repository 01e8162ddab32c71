import { adminScopes, isAdminScope } from '../oidc/admin-resource.ts'
import { type Policy, reservedPrefix } from '../registration/rules.ts'
import { OperationError, type Performer } from './operation.ts'

const all = `${reservedPrefix}*`

/**
 * Throws an OperationError for a scope of the admin API that does not exist, and unless whoever asks has every one that is among
 * `names`. Else who may register clients, or set the policies for it, or get hold of a client's secret, could make
 * themselves a client that may do everything. Operators at the command line have them all.
 *
 * @param names scopes as in client metadata or in a policy, where `postern:*` stands for all of the admin API's
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

/** The scopes in the `scope` of a client's metadata. */
export function scopesOf(metadata: Record<string, unknown> | undefined): string[] {
  return String(metadata?.['scope'] ?? '')
    .split(' ')
    .filter(Boolean)
}

/** The scopes that clients under a policy may register by name. `*` is none of the admin API's. */
export function scopesIn({ rules }: Policy): string[] {
  return rules.scopes === '*' ? [] : rules.scopes
}
