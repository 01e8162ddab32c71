import { randomBytes } from 'node:crypto'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import { randomId } from '../../crypto/digests.ts'
import type { Tx } from '../../database/schema.ts'
import type { Metadata } from '../../registration/metadata.ts'
import * as policies from '../../registration/policies.ts'
import { effective, judge } from '../../registration/policy.ts'
import { ClientRefused } from '../../registration/refusal.ts'
import type { Policy } from '../../registration/rules.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as clientLifetimes from '../../stores/clients/lifetimes.ts'
import * as clientRecords from '../../stores/clients/records.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import * as accounts from '../../stores/people/accounts.ts'
import type { Storage } from '../request/storage.ts'
import { circumstancesOf } from './circumstances.ts'
import { parse } from './metadata.ts'
import { endWhatWasNarrowed } from './narrowed.ts'

export type Registering = { tx: Tx; provider: Provider; storage: Storage }

/** Creates a secret for a client: 384 bits, which is also long enough as a key for every HMAC (RFC 7518 §3.2). */
export const createSecret = (): string => randomBytes(48).toString('base64url')

/**
 * Returns when a secret created now expires, as `client_secret_expires_at` says it (RFC 7591 §3.2.1): 0 means never.
 */
export function secretExpiry({ rules }: Policy): number {
  return rules.secret_ttl_seconds === null ? 0 : Math.floor(Date.now() / 1000) + rules.secret_ttl_seconds
}

/**
 * Registers a client on behalf of an administrator. The policy completes and judges the metadata, and the engine checks
 * it (RFC 7591 §2) and fills in its defaults. The client receives an id and, if it needs one, a secret.
 *
 * @returns the metadata, including the secret, which is not shown again.
 * @throws ClientRefused with the member that is wrong.
 */
export async function registerClient(
  registering: Registering,
  given: Metadata,
  { policy: name = 'administrator' }: { policy?: string } = {},
): Promise<clients.ClientMetadata> {
  const { tx, provider, storage } = registering
  const policy = await getPolicy(tx, name)
  // Otherwise an API could take the token of this machine for one of that person (RFC 9700 §4.15).
  if (given['client_id'] !== undefined && (await accounts.findById(tx, String(given['client_id'])))) {
    throw new ClientRefused({ field: 'client_id', message: 'client_id is the id of an account; choose another.' })
  }
  const properties: clients.ClientMetadata = {
    client_id: randomId(16),
    client_id_issued_at: Math.floor(Date.now() / 1000),
    ...effective(given, policy),
  }
  if (needsSecret(provider, properties) && !properties['client_secret']) {
    Object.assign(properties, { client_secret: createSecret(), client_secret_expires_at: secretExpiry(policy) })
  }
  const metadata = check(registering, properties, policy)
  await assertRoom(tx, policy)
  const origin = { isDynamic: false, ...originUnder(policy) }
  const outcome = await clients.save(tx, storage.envelope, metadata, origin, { isNew: true })
  if (outcome === 'saved') return metadata
  const { client_id: id } = metadata
  const message = (await clientRecords.find(tx, id))
    ? `There already is a client ${id}.`
    : `The client ${id} was deleted, and its id is not given out again; choose another.`
  throw new ClientRefused({ field: 'client_id', message })
}

/**
 * Completes and judges metadata as if a client were registered with it, or changed to exactly that. The id, the secret
 * and the members that go with them are left out, and nothing is written.
 *
 * @throws ClientRefused with the member that is wrong.
 */
export async function completeMetadata(
  registering: Registering,
  given: Metadata,
  { policy: name }: { policy: string },
): Promise<Metadata> {
  const policy = await getPolicy(registering.tx, name)
  const properties: clients.ClientMetadata = { client_id: 'unregistered', ...effective(given, policy) }
  if (needsSecret(registering.provider, properties)) Object.assign(properties, { client_secret: createSecret() })
  const { client_id: _id, client_secret: _secret, ...metadata } = check(registering, properties, policy)
  return metadata
}

/**
 * Changes a client on behalf of an administrator. Members that are `null` are removed, and members that are not given
 * stay. The policy that the client is under, or is moved to, judges the result as a whole.
 *
 * @returns the metadata, with the secret only if it is a new one; `undefined` when there is no such client.
 * @throws ClientRefused with the member that is wrong.
 */
export async function updateClient(
  registering: Registering,
  id: string,
  { policy: moved, ...changes }: Metadata & { policy?: string | undefined },
): Promise<clients.ClientMetadata | undefined> {
  const { tx, provider, storage } = registering
  await clients.lock(tx, id)
  const record = await clientRecords.find(tx, id)
  const active = await clients.findActive(tx, storage.envelope, id)
  if (!record) return undefined
  if (!active)
    throw new ClientRefused({ message: `The client ${id} is disabled or past its lifetime, and cannot be changed.` })
  if (record.isDocument)
    throw new ClientRefused({ message: `The client ${id} is defined by its document; change it there.` })
  const policy = await getPolicy(tx, moved ?? record.policy)
  const merged = Object.entries({ ...clients.withSecret(active), ...changes }).filter(([, value]) => value !== null)
  const properties = effective(Object.fromEntries(merged), policy) as clients.ClientMetadata
  if (!needsSecret(provider, properties)) delete properties['client_secret'] // it does not come back with the need
  const isSecretMissing = needsSecret(provider, properties) && !properties['client_secret']
  if (isSecretMissing) {
    Object.assign(properties, { client_secret: createSecret(), client_secret_expires_at: secretExpiry(policy) })
  }
  const metadata = check(registering, properties, policy)
  if (metadata['token_endpoint_auth_method'] === 'none' && (await resourceServers.isAnyIntrospectingAs(tx, id))) {
    throw new ClientRefused({
      field: 'token_endpoint_auth_method',
      message: 'token_endpoint_auth_method must not be none: an API introspects tokens as this client',
    })
  }
  if (moved !== undefined && moved !== record.policy) {
    await assertRoom(tx, policy)
    await clientLifetimes.setPolicy(tx, id, originUnder(policy))
  }
  await clients.save(tx, storage.envelope, metadata, { isDynamic: record.isDynamic, policy: policy.name })
  await endWhatWasNarrowed(tx, id, active.metadata, metadata)
  const { client_secret: secret, ...rest } = metadata
  return isSecretMissing ? { ...rest, client_secret: secret } : rest
}

/** Returns the policy of this name. Throws ClientRefused when there is none. */
export async function getPolicy(tx: Tx, name: string): Promise<Policy> {
  const policy = await policies.find(tx, name)
  if (!policy) throw new ClientRefused({ field: 'policy', message: `There is no registration policy ${name}.` })
  return policy
}

/**
 * Throws ClientRefused when a policy has as many clients as it allows. Makes concurrent registrations under it take
 * turns.
 */
export async function assertRoom(tx: Tx, { name, rules }: Policy): Promise<void> {
  if (rules.max_clients === null) return
  if ((await clients.countUnder(tx, name)) < rules.max_clients) return
  throw new ClientRefused({ rule: 'max_clients', message: `the policy ${name} has as many clients as it allows` })
}

/** Returns the policy and the lifetimes of a client that is registered now. */
export function originUnder({ name, rules }: Policy): Pick<clients.Origin, 'policy' | 'expiresAt' | 'unusedExpiresAt'> {
  const inSeconds = (seconds: number | null) => (seconds === null ? undefined : new Date(Date.now() + seconds * 1000))
  return {
    policy: name,
    expiresAt: inSeconds(rules.client_ttl_seconds),
    unusedExpiresAt: inSeconds(rules.unused_ttl_seconds),
  }
}

/** Has the engine complete metadata, which the policy judges before and after that. */
function check(
  { provider, storage }: Registering,
  properties: clients.ClientMetadata,
  policy: Policy,
): clients.ClientMetadata {
  const assertAllowed = (judged: Metadata) => {
    const refusal = judge(judged, circumstancesOf(storage, policy, { isOwnWord: false }))
    if (refusal) throw new ClientRefused(refusal)
  }
  assertAllowed(properties) // before the engine, which relies on its form
  const entries = Object.entries(validated(() => parse(provider, properties).metadata()))
  const metadata = Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as clients.ClientMetadata
  assertAllowed(metadata)
  return metadata
}

/** Says whether a client with this metadata shares a secret with the server. */
export function needsSecret({ Client }: Provider, metadata: Metadata): boolean {
  return (Client as unknown as { needsSecret(metadata: object): boolean }).needsSecret(metadata)
}

function validated<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error
    const message = error.error_description ?? error.message
    const [field] = /^[a-z_]+(?= )/.exec(message) ?? []
    throw new ClientRefused({ field, message }, { cause: error })
  }
}
