import type { z } from 'zod'
import type { Tx } from '../../database/schema.ts'
import { policyRules } from '../../registration/rules.ts'
import * as clientRecords from '../../stores/clients/records.ts'
import * as storedPolicies from '../../stores/clients/registration-policies.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import * as storedProviders from '../../stores/clients/upstream-providers.ts'
import { type OperationDependencies, OperationError } from '../operation.ts'
import { fields } from '../operations/upstream-providers.ts'
import type { Application } from './application.ts'
import { completed, membersOf } from './clients.ts'
import { isSame } from './differences.ts'
import * as resources from './resources.ts'
import * as upstreamProviders from './upstream-providers.ts'
import { type Entry, write } from './writing.ts'

type Members = Record<string, unknown>

/**
 * Writes the saved policies, the resource servers and the clients that an administrator registered as a declaration in YAML.
 * It omits secrets and defaults, and gives the same text for the same set-up.
 */
export async function exportDeclaration(dependencies: OperationDependencies): Promise<string> {
  const { config, database, provider, storage } = dependencies
  const { policies, apis, clients, providers } = await database.db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (tx) => {
      const records = await clientRecords.listAdministered(tx)
      const clients: Entry[] = []
      for (const record of records) clients.push(await clientEntry({ registering: { tx, provider, storage } }, record))
      const providers = await providerEntries(tx, storage)
      return { policies: await policyEntries(tx), apis: await apiEntries(tx, records), clients, providers }
    })
  return write({ policies, upstream_providers: providers, resources: apis, clients }, header(config.ISSUER))
}

const header = (issuer: string) => `\
Policies, upstream providers, resources and clients of ${issuer}, written by postern export.
postern apply -f FILE brings another Postern to the same state. This file contains no secrets: a client created
from it gets a new secret, or the one that its client_secret: { env: NAME } or { file: PATH } refers to.`

async function policyEntries(tx: Tx): Promise<Entry[]> {
  return (await storedPolicies.list(tx)).map(({ name, rules }) => ({
    name,
    members: inOrderOf(Object.keys(policyRules.shape), rules),
  }))
}

async function apiEntries(tx: Tx, records: readonly clientRecords.ClientRecord[]): Promise<Entry[]> {
  const exported = new Set(records.map(({ id }) => id))
  return (await resourceServers.list(tx)).map((server) => {
    const { name, scopes, token_format, token_ttl_seconds, token_type_header, serves_userinfo, client_id } =
      resources.membersOf(server)
    const isExported = client_id === undefined || exported.has(client_id)
    return {
      name: server.identifier,
      members: {
        name,
        scopes: inOrderOf(Object.keys(scopes).sort(), scopes),
        ...(token_format !== 'opaque' && { token_format }),
        token_ttl_seconds,
        ...(token_type_header !== 'at+jwt' && { token_type_header }),
        ...(serves_userinfo && { serves_userinfo }),
        ...(isExported && { client_id }),
      },
      comment: isExported
        ? undefined
        : `It introspects tokens as ${client_id}, which was not registered by an administrator.`,
    }
  })
}

async function providerEntries(tx: Tx, { envelope }: OperationDependencies['storage']): Promise<Entry[]> {
  return (await storedProviders.list(tx, envelope)).map((provider) => {
    const members = upstreamProviders.membersOf(provider)
    const set = Object.entries(members).filter(([name, value]) => !isDefault(name, value))
    const around = { preset: provider.preset, ...(provider.isDisabled && { disabled: true }) }
    return { name: provider.id, members: { ...around, ...Object.fromEntries(set) } }
  })
}

function isDefault(name: string, value: unknown): boolean {
  const field: z.ZodType | undefined = fields[name as keyof typeof fields]
  const { data } = field?.safeParse(undefined) ?? {}
  return JSON.stringify(data) === JSON.stringify(value)
}

async function clientEntry(
  application: Pick<Application, 'registering'>,
  record: clientRecords.ClientRecord,
): Promise<Entry> {
  const { id, policy = 'default', isDisabled } = record
  const around = { ...(policy !== 'administrator' && { policy }), ...(isDisabled && { disabled: true }) }
  const stored = membersOf(record.metadata)
  try {
    return { name: id, members: { ...around, ...(await withoutDefaults(application, stored, policy)) } }
  } catch (error) {
    if (!(error instanceof OperationError)) throw error
    // Its policy or a setting changed since, which affects the client only when it is changed, too.
    return { name: id, members: { ...around, ...stored }, comment: `It would be rejected now: ${error.message}` }
  }
}

/** Returns the smallest declaration that gives a client this metadata. */
async function withoutDefaults(
  application: Pick<Application, 'registering'>,
  stored: Members,
  policy: string,
): Promise<Members> {
  await completed(application, stored, policy)
  let least = stored
  for (const name of Object.keys(stored)) {
    const { [name]: _, ...fewer } = least
    if (await comesTo(application, fewer, policy, stored)) least = fewer
  }
  return least
}

async function comesTo(
  application: Pick<Application, 'registering'>,
  given: Members,
  policy: string,
  stored: Members,
): Promise<boolean> {
  try {
    const wanted = await completed(application, given, policy)
    const names = new Set([...Object.keys(wanted), ...Object.keys(stored)])
    return [...names].every((name) => isSame(name, wanted[name], stored[name]))
  } catch (error) {
    if (error instanceof OperationError) return false
    throw error
  }
}

function inOrderOf(names: readonly string[], members: Members): Members {
  return Object.fromEntries(names.filter((name) => members[name] !== undefined).map((name) => [name, members[name]]))
}
