import type Provider from 'oidc-provider'
import { errors, type Interaction } from 'oidc-provider'
import { shownClient } from '../../oidc/clients/shown.ts'
import type { Reader } from '../../oidc/request/reader.ts'
import type { ShownClient } from '../../views/shown-client.ts'

/** Returns the app that an interaction belongs to, as the pages show it. */
export async function shownClientOf(
  provider: Provider,
  { params }: Interaction,
  { language }: Reader,
): Promise<ShownClient> {
  const client = await provider.Client.find(String(params['client_id']))
  if (!client) throw new errors.SessionNotFound('the client is gone')
  return shownClient(client, language, String(params['redirect_uri'] ?? ''))
}
