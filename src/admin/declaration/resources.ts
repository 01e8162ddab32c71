import { secret } from '../../secret.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import { defaultName } from '../operations/resources.ts'
import type { Application } from './application.ts'
import { allOf, differencesBetween, flatten } from './differences.ts'
import type { Change } from './plan.ts'
import type { DeclaredResource } from './schema.ts'

/** Creates a resource server, or brings the existing one to its declared state. */
export async function reconcile(
  { registering: { tx }, perform, reveal }: Application,
  identifier: string,
  declared: DeclaredResource,
): Promise<Change | undefined> {
  const found = await resourceServers.find(tx, identifier)
  if (!found) {
    const { client_id, client_secret } = await perform('resource create', { identifier, ...declared })
    if (typeof client_secret === 'string') {
      reveal({ kind: 'resource', name: identifier, client_id: String(client_id), client_secret: secret(client_secret) })
    }
    return { action: 'create', kind: 'resource', name: identifier, differences: allOf(flatten(declared)) }
  }
  const wanted = {
    name: declared.name ?? defaultName(identifier),
    scopes: declared.scopes,
    token_format: declared.token_format,
    token_ttl_seconds: declared.token_ttl_seconds,
    token_type_header: declared.token_type_header,
    serves_userinfo: declared.serves_userinfo,
    client_id: declared.client_id ?? found.clientId, // it keeps its credentials if none are declared
  }
  const differences = differencesBetween(flatten(membersOf(found)), flatten(wanted))
  if (differences.length === 0) return undefined
  const changed = Object.entries(wanted).filter(([name]) =>
    differences.some(({ member }) => member === name || member.startsWith(`${name}.`)),
  )
  await perform('resource update', {
    identifier,
    ...Object.fromEntries(changed.map(([name, value]) => [name, value ?? null])),
  })
  return { action: 'update', kind: 'resource', name: identifier, differences }
}

/** Lists the resource servers that are not declared. */
export async function strays({ registering: { tx } }: Application, declared: ReadonlySet<string>): Promise<string[]> {
  return (await resourceServers.list(tx)).map(({ identifier }) => identifier).filter((name) => !declared.has(name))
}

export async function remove({ perform }: Application, identifier: string): Promise<Change> {
  await perform('resource delete', { identifier })
  return { action: 'delete', kind: 'resource', name: identifier, differences: [] }
}

/** Returns the members of a resource server that can be declared. */
export function membersOf(server: resourceServers.ResourceServer): DeclaredResource {
  return {
    name: server.name,
    scopes: server.scopes,
    token_format: server.tokenFormat,
    token_ttl_seconds: server.tokenTtlSeconds,
    token_type_header: server.tokenTypeHeader ?? 'at+jwt',
    serves_userinfo: server.servesUserinfo ?? false,
    client_id: server.clientId,
  }
}
