import { randomBytes } from 'node:crypto'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import { randomId } from '../crypto/digests.ts'
import * as audit from '../stores/audit.ts'
import * as clients from '../stores/clients.ts'
import { parse } from './client-metadata.ts'
import type { Storage } from './storage.ts'

/**
 * Registers a client on behalf of an administrator: the engine checks the metadata (RFC 7591 §2) and fills
 * in defaults; an id and, where the client needs one, a secret are made. Returns the metadata, secret included.
 *
 * @throws Error naming the field that is wrong.
 */
export async function registerClient(
  provider: Provider,
  { db, envelope, clients: cache }: Storage,
  given: Record<string, unknown>,
): Promise<clients.ClientMetadata> {
  const properties: clients.ClientMetadata = {
    client_id: randomId(16),
    client_id_issued_at: Math.floor(Date.now() / 1000),
    ...given,
  }
  const { Client } = provider as unknown as { Client: { needsSecret(metadata: object): boolean } }
  if (Client.needsSecret(properties) && !properties['client_secret']) {
    Object.assign(properties, { client_secret: randomBytes(48).toString('base64url'), client_secret_expires_at: 0 })
  }
  const metadata = validate(() => parse(provider, properties).metadata())
  const effective = Object.fromEntries(
    Object.entries(metadata).filter(([, value]) => value !== undefined),
  ) as clients.ClientMetadata
  const outcome = await db.transaction().execute(async (tx) => {
    await audit.append(tx, [{ type: 'client.registered', clientId: effective.client_id }])
    return clients.save(tx, envelope, effective, { isDynamic: false })
  })
  cache.forget(effective.client_id)
  if (outcome === 'gone')
    throw new Error(`The client ${effective.client_id} was deleted or disabled; choose another id.`)
  return effective
}

function validate<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof errors.OIDCProviderError)
      throw new Error(error.error_description ?? error.message, { cause: error })
    throw error
  }
}

/** A token that allows clients to register themselves (RFC 7591 §3), for `ttlSeconds`. Shown once, kept as a hash. */
export async function createInitialAccessToken(
  provider: Provider,
  { db }: Storage,
  ttlSeconds: number,
): Promise<string> {
  const token = new provider.InitialAccessToken({ expiresIn: ttlSeconds } as never)
  await audit.append(db, [{ type: 'registration_token.created', details: { ttlSeconds } }])
  return token.save()
}
