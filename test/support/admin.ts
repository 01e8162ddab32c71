import { adminScopes } from '../../src/oidc/admin-resource.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { createClient, type TestPostern } from './postern.ts'
import { type Answer, send } from './wire.ts'

const everything = Object.keys(adminScopes).join(' ')

/** Creates a machine that an operator registered for the admin API. */
export function createAdministrator(postern: TestPostern, scope = everything): Promise<ClientMetadata> {
  const machine = { client_name: 'Operations', grant_types: ['client_credentials'] }
  return createClient(postern.server.postern, { ...machine, redirect_uris: [], response_types: [], scope })
}

/** Returns an access token of a machine for the admin API, from the token endpoint. */
export async function adminToken(
  postern: { issuer: string },
  client: ClientMetadata,
  scope = String(client['scope']),
): Promise<string> {
  const form = { grant_type: 'client_credentials', scope, resource: `${postern.issuer}/admin/api` }
  const { status, json, text } = await send(postern, '/oauth/token', { client, form })
  if (status !== 200) throw new Error(text)
  return String(json['access_token'])
}

export type Call = {
  method?: string
  bearer?: string
  body?: unknown
  headers?: Record<string, string>
}

/** Sends a request to the admin API, with `path` below it. */
export function call(
  postern: { issuer: string },
  path: string,
  { method, bearer, body, headers }: Call,
): Promise<Answer> {
  return send(postern, `/admin/api${path}`, {
    ...(method !== undefined && { method }),
    ...(bearer !== undefined && { bearer }),
    ...(body !== undefined && { body }),
    ...(headers && { headers }),
  })
}
