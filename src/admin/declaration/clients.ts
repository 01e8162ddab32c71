import { completeMetadata } from '../../oidc/registration/by-administrator.ts'
import { clientMetadata } from '../../registration/metadata.ts'
import { type Secret, secret as wrap } from '../../secret.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as clientRecords from '../../stores/clients/records.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import { OperationError } from '../operation.ts'
import { forPurpose, refusing } from '../operations/clients.ts'
import type { Application } from './application.ts'
import { allOf, type Difference, differencesBetween } from './differences.ts'
import type { Change } from './plan.ts'
import type { DeclaredClient, SecretSource } from './schema.ts'

/**
 * Locks the declared clients and, with `prune`, all clients that may be deleted. It locks them at once because requests lock
 * several clients as well.
 */
export async function lock({ registering: { tx } }: Application, declared: string[], prune: boolean): Promise<void> {
  const administered = prune ? await clientRecords.listAdministered(tx) : []
  await clientRecords.lock(tx, [...declared, ...administered.map(({ id }) => id)])
}

/** Registers a client, or brings the existing one to its declared state. */
export async function reconcile(
  application: Application,
  id: string,
  declared: DeclaredClient,
  secret: Secret | undefined,
): Promise<Change | undefined> {
  const { tx } = application.registering
  const record = await clientRecords.find(tx, id)
  if (record) assertAdministered(record)
  const { policy, disabled: _disabled, client_secret: _source, ...metadata } = declared
  const wanted = await completed(application, metadata, policy)
  return record
    ? update(application, record, declared, wanted, secret)
    : create(application, id, declared, metadata, secret)
}

async function create(
  { perform, reveal }: Application,
  id: string,
  { policy, disabled, client_secret: source }: DeclaredClient,
  metadata: object,
  secret: Secret | undefined,
): Promise<Change> {
  const { client_secret: made } = await perform('client create', { client_id: id, policy, ...metadata })
  if (secret) {
    await perform('client set-secret', { client_id: id, client_secret: secret.reveal(), overlap_seconds: 0 })
  } else if (typeof made === 'string') {
    reveal({ kind: 'client', name: id, client_id: id, client_secret: wrap(made) })
  }
  if (disabled) await perform('client disable', { client_id: id })
  const differences = allOf({ policy, ...metadata, disabled, client_secret: source && originOf(source) })
  return { action: 'create', kind: 'client', name: id, differences }
}

async function update(
  { registering: { tx, storage }, perform, reveal }: Application,
  record: clientRecords.ClientRecord,
  { policy, disabled = record.isDisabled, client_secret: source }: DeclaredClient,
  wanted: Record<string, unknown>,
  secret: Secret | undefined,
): Promise<Change | undefined> {
  const { id } = record
  const differences: Difference[] = []
  if (record.isDisabled && !disabled) await perform('client enable', { client_id: id })

  const inMetadata = differencesBetween({ policy: record.policy, ...membersOf(record.metadata) }, { policy, ...wanted })
  let made: unknown
  if (inMetadata.length > 0) {
    const changes = inMetadata.map(({ member, after }) => [member, after ?? null])
    made = (await perform('client update', { client_id: id, ...Object.fromEntries(changes) }))['client_secret']
  }
  differences.push(...inMetadata)

  if (!secret && typeof made === 'string') {
    reveal({ kind: 'client', name: id, client_id: id, client_secret: wrap(made) })
  }
  // The secret of a disabled client is not compared: it gives access to nothing, and is set when the client is enabled.
  const active = secret && source ? await clients.findActive(tx, storage.envelope, id) : undefined
  if (active && secret && source && active.secret?.reveal() !== secret.reveal()) {
    const overlap_seconds = made === undefined ? source.overlap_seconds : 0
    await perform('client set-secret', { client_id: id, client_secret: secret.reveal(), overlap_seconds })
    differences.push({ member: 'client_secret', before: '[secret]', after: originOf(source) })
  }

  if (!record.isDisabled && disabled) await perform('client disable', { client_id: id })
  if (record.isDisabled !== disabled)
    differences.push({ member: 'disabled', before: record.isDisabled, after: disabled })
  return differences.length === 0 ? undefined : { action: 'update', kind: 'client', name: id, differences }
}

/**
 * Lists the clients that an administrator registered and that are not declared. Clients that registered themselves are left
 * alone, and a client that a resource server introspects as is deleted with it.
 */
export async function strays({ registering: { tx } }: Application, declared: ReadonlySet<string>): Promise<string[]> {
  const inUse = new Set((await resourceServers.list(tx)).map(({ clientId }) => clientId))
  return (await clientRecords.listAdministered(tx))
    .map(({ id }) => id)
    .filter((id) => !declared.has(id) && !inUse.has(id))
}

export async function remove({ perform }: Application, id: string): Promise<Change> {
  await perform('client delete', { client_id: id })
  return { action: 'delete', kind: 'client', name: id, differences: [] }
}

/** Returns the complete metadata of a client with this declaration. */
export async function completed(
  { registering }: Pick<Application, 'registering'>,
  metadata: Record<string, unknown>,
  policy: string,
): Promise<Record<string, unknown>> {
  const wanted = await refusing(() => completeMetadata(registering, forPurpose(metadata), { policy }))
  const unheeded = Object.keys(metadata).find((name) => wanted[name] === undefined)
  if (unheeded === undefined) return membersOf(wanted)
  throw new OperationError('invalid', {
    field: unheeded,
    message: `${unheeded} has no effect with the settings of this server`,
  })
}

/** Returns the members of stored metadata that can be declared, in the order of their documentation. */
export function membersOf(metadata: Record<string, unknown>): Record<string, unknown> {
  const names = Object.keys(clientMetadata.shape).filter((name) => metadata[name] !== undefined)
  return Object.fromEntries(names.map((name) => [name, metadata[name]]))
}

function assertAdministered({ id, isDynamic, isDocument }: clientRecords.ClientRecord): void {
  if (!isDynamic && !isDocument) return
  const owner = isDocument ? 'is described by its own metadata document' : 'registered itself'
  throw new OperationError('conflict', `The client ${id} ${owner} and cannot be declared here.`)
}

const originOf = ({ env, file }: SecretSource) => `[secret from ${env ?? file}]`
