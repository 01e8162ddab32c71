import type { Secret } from '../../secret.ts'
import * as stored from '../../stores/clients/upstream-providers.ts'
import { OperationError } from '../operation.ts'
import { fields } from '../operations/upstream-providers.ts'
import type { Application } from './application.ts'
import { allOf, type Difference, differencesBetween } from './differences.ts'
import type { Change } from './plan.ts'
import type { DeclaredUpstreamProvider } from './schema.ts'

/** Sets up an upstream provider, or brings the existing one to its declared state. */
export async function reconcile(
  { registering: { tx, storage }, perform }: Application,
  id: string,
  { preset, secret: source, disabled, ...declared }: DeclaredUpstreamProvider,
  secret: Secret | undefined,
): Promise<Change | undefined> {
  const found = await stored.find(tx, storage.envelope, id)
  const origin = source && `[secret from ${source.env ?? source.file}]`
  if (!found) {
    await perform('upstream create', { id, preset, ...declared })
    if (secret) await perform('upstream set-secret', { id, secret: secret.reveal() })
    if (disabled) await perform('upstream disable', { id })
    const differences = allOf({ preset, ...declared, secret: origin, disabled })
    return { action: 'create', kind: 'upstream provider', name: id, differences }
  }
  if (found.preset !== preset) {
    throw new OperationError('conflict', { field: 'preset', message: 'cannot change. Delete the provider first' })
  }
  const differences: Difference[] = differencesBetween(membersOf(found), inOrder(declared))
  if (differences.length > 0) {
    const wanted = Object.fromEntries(Object.keys(fields).map((name) => [name, (declared as Members)[name] ?? null]))
    await perform('upstream update', { id, ...wanted })
  }
  if (secret && found.secret !== secret.reveal()) {
    await perform('upstream set-secret', { id, secret: secret.reveal() })
    differences.push({ member: 'secret', before: '[secret]', after: origin })
  }
  if (disabled !== undefined && found.isDisabled !== disabled) {
    await perform(disabled ? 'upstream disable' : 'upstream enable', { id })
    differences.push({ member: 'disabled', before: found.isDisabled, after: disabled })
  }
  return differences.length === 0 ? undefined : { action: 'update', kind: 'upstream provider', name: id, differences }
}

/** Lists the upstream providers that are not declared. */
export async function strays(
  { registering: { tx, storage } }: Application,
  declared: ReadonlySet<string>,
): Promise<string[]> {
  return (await stored.list(tx, storage.envelope)).map(({ id }) => id).filter((id) => !declared.has(id))
}

export async function remove({ perform }: Application, id: string): Promise<Change> {
  await perform('upstream delete', { id })
  return { action: 'delete', kind: 'upstream provider', name: id, differences: [] }
}

type Members = Record<string, unknown>

/** Returns the members of a provider that can be declared. */
export const membersOf = ({ settings, authorityDomains }: stored.UpstreamProvider): Members =>
  inOrder({ ...settings, authority_domains: authorityDomains })

const inOrder = (members: Members): Members =>
  Object.fromEntries(
    Object.keys(fields)
      .filter((name) => members[name] !== undefined)
      .map((name) => [name, members[name]]),
  )
