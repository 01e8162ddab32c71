import { inspect } from 'node:util'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import { type ActiveClient, withSecret } from '../../stores/clients/clients.ts'
import type { Client } from '../engine.ts'
import type { ClientDocuments } from '../registration/by-document.ts'
import { parse, withOidcScopes } from '../registration/metadata.ts'
import { type Storage, withEngineErrors } from '../request/storage.ts'
import { current } from '../request/work.ts'
import type { Logos } from './logos.ts'
import { acceptPreviousSecrets } from './previous-secrets.ts'
import { markReviewed, setLogo } from './shown.ts'

/**
 * Lets the engine find clients, each parsed only once until it changes. The engine itself keeps a hundred. With more in
 * use it would parse each again at every request, and fetch what `sector_identifier_uri` names.
 */
export function overrideClientFind(
  provider: Provider,
  {
    storage: { clients },
    documents,
    logos,
  }: { storage: Storage; documents: ClientDocuments | undefined; logos: Logos },
): void {
  const { Client } = provider
  const findElsewhere = Client.find.bind(Client)
  const acceptPreviousSecret = acceptPreviousSecrets(provider)
  printById(provider)
  endSecretsOnTime(provider)
  const parsed = new WeakMap<ActiveClient, Promise<Client>>()

  async function toClient(active: ActiveClient): Promise<Client> {
    const metadata = withSecret(active)
    const client = parse(provider, metadata)
    if (!active.isDynamic) {
      markReviewed(client)
      const { logoUri } = client
      const hash = typeof logoUri === 'string' ? await withEngineErrors(logos.of(client.clientId, logoUri)) : undefined
      if (hash !== undefined) setLogo(client, hash)
    }
    // OpenID Connect Core §8.1: the redirect URIs must be among those in the document at `sector_identifier_uri`.
    if (client.sectorIdentifierUri !== undefined) await validate(provider, withOidcScopes(metadata))
    if (active.previousSecret) acceptPreviousSecret(client, active.previousSecret)
    return client
  }

  Client.find = async (id: string) => {
    if (typeof id !== 'string' || id === '' || id.includes('\0')) return undefined
    const found = await withEngineErrors(clients.find(id))
    if (found?.isDocument !== false && isClientRequest()) {
      const described = await documents?.find(provider, id, found)
      if (described) noteRead(id, await withEngineErrors(clients.find(id)))
      if (described || found) return described
    }
    noteRead(id, found)
    if (!found) return findElsewhere(id)
    if (found.isDocument && documents) return documents.recall(provider, found)
    let client = parsed.get(found)
    if (!client) {
      client = toClient(found)
      parsed.set(found, client)
      client.catch(() => parsed.delete(found)) // a fetch that failed now may succeed later
    }
    return client
  }
}

/** Records the version of a client that the request goes by: the first one that it read. */
function noteRead(id: string, found: ActiveClient | undefined): void {
  const work = current()
  if (found && work && !work.reads.clients.has(id)) work.reads.clients.set(id, found)
}

/**
 * Returns whether the client itself sent the request. Only then is the metadata document read, if the client has one.
 * Other requests, such as an introspection by an API, use its last version, and do not depend on whether the document
 * is there.
 */
function isClientRequest(): boolean {
  const endpoint = current()?.endpoint
  return endpoint === 'authorization' || endpoint === 'token'
}

/** Prints a client as its id alone, because the engine's object contains the secret in clear. */
function printById({ Client: { prototype } }: Provider): void {
  function print(this: Client): string {
    return `[client ${this.clientId}]`
  }
  for (const name of ['toString', 'toJSON', inspect.custom]) Object.defineProperty(prototype, name, { value: print })
}

/**
 * Ends a secret in the second that `client_secret_expires_at` names (RFC 7591 §3.2.1). The engine adds its tolerance
 * for the clocks of others, but this server chose the time itself.
 */
function endSecretsOnTime({ Client: { prototype } }: Provider): void {
  function check(this: Client, message: string, errorOverride?: string): void {
    const { clientSecretExpiresAt: end } = this
    if (!end || Date.now() / 1000 < end) return
    const error = new errors.InvalidClient(message, `its secret expired at ${end}`)
    throw errorOverride ? Object.assign(error, { error: errorOverride, message: errorOverride }) : error
  }
  Object.assign(prototype, { checkClientSecretExpiration: check })
}

/** Validates metadata as the engine does at registration, including what it fetches for that. */
async function validate({ Client }: Provider, metadata: object): Promise<void> {
  await (Client as unknown as { validate(metadata: object): Promise<void> }).validate(metadata)
}
