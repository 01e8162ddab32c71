import type Provider from 'oidc-provider'
import { errors, type Interaction } from 'oidc-provider'
import { askerOf } from '../../oidc/clients/askers.ts'
import type { Asker } from '../../views/askers.ts'

/** Returns the app that an interaction belongs to, as the pages show it. */
export async function askerIn(provider: Provider, { params }: Interaction): Promise<Asker> {
  const client = await provider.Client.find(String(params['client_id']))
  if (!client) throw new errors.SessionNotFound('the client is gone')
  return askerOf(client, String(params['redirect_uri'] ?? ''))
}
