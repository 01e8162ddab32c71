import { isDeepStrictEqual } from 'node:util'
import type Provider from 'oidc-provider'
import { errors } from 'oidc-provider'
import { widestNetworkOf } from '../../authentication/networks.ts'
import { createBoundedMap } from '../../bounded-map.ts'
import { keyedHash } from '../../crypto/digests.ts'
import type { Tx } from '../../database/schema.ts'
import { addressOf, documentPolicy, isAccepted } from '../../registration/documents.ts'
import type { Metadata } from '../../registration/metadata.ts'
import * as policies from '../../registration/policies.ts'
import { effective, judge, within } from '../../registration/policy.ts'
import { reduced, withoutUnused } from '../../registration/reductions.ts'
import { ClientRefused, type Refusal } from '../../registration/refusal.ts'
import type { Policy } from '../../registration/rules.ts'
import type { Secret } from '../../secret.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'
import type { Client } from '../engine.ts'
import { type Storage, withEngineErrors } from '../request/storage.ts'
import { current } from '../request/work.ts'
import { TooManyRequests } from '../too-many-requests.ts'
import { assertRoom, needsSecret } from './by-administrator.ts'
import { circumstancesOf } from './circumstances.ts'
import { type Documents, refused } from './document-fetch.ts'
import { parse } from './metadata.ts'
import { endWhatWasNarrowed } from './narrowed.ts'

export type ClientDocuments = {
  /**
   * Finds the client that a document defines. `known` is its row, if it was accepted before and may be used.
   *
   * @throws errors.InvalidClient with what is wrong with the document, or when the client may not be used.
   */
  find(provider: Provider, clientId: string, known: clients.ActiveClient | undefined): Promise<Client | undefined>
  /** Returns a client as its document last defined it, reduced to what the policy allows now. */
  recall(provider: Provider, known: clients.ActiveClient): Promise<Client>
}

type Made = { client: Client; document: Metadata; policy: Policy }

const policyFreshMs = 5_000 // the same bound on staleness as for clients
const remembered = 1_000 // clients, as many as documents are kept
const windowSeconds = 3_600
// New documents in an hour, and how many of them are reserved for networks that have had none.
const accepted = { most: 300, reserved: 60 }

/**
 * Creates the look-up of clients whose id is the address of their metadata
 * (draft-ietf-oauth-client-id-metadata-document-02). The policy `document` completes and judges the metadata, as for
 * any registration. Such a client has a row, so that it can have grants and tokens, and be listed, disabled and
 * deleted; the row has the metadata that the document last said.
 */
export function createClientDocuments({
  storage,
  documents,
  hosts,
  throttleKey,
}: {
  storage: Storage
  documents: Documents
  hosts: readonly string[]
  throttleKey: Secret<Buffer>
}): ClientDocuments {
  const { db } = storage
  const made = createBoundedMap<string, Made>(remembered)
  const recalled = new WeakMap<clients.ActiveClient, Pick<Made, 'client' | 'policy'>>()
  const policyOf = createPolicyLookup(storage)
  const keyHash = (...about: string[]) => keyedHash(throttleKey, ['accepted documents', ...about].join('\0'))

  /** Counts a new client. Only accepted documents count. */
  async function count(tx: Tx): Promise<void> {
    const own = keyHash('of', widestNetworkOf(current()?.address ?? ''))
    const everyone = { keyHash: keyHash('everyone'), ...accepted }
    const seconds = await rateLimits.takeShared(tx, { own, everyone, windowSeconds })
    if (seconds > 0) throw new TooManyRequests('client id metadata documents were new', seconds)
  }

  return {
    async find(provider, clientId, known) {
      const url = addressOf(clientId)
      if (!url) return undefined
      if (!isAccepted(url, hosts)) throw new errors.InvalidClient(`client ids at ${url.host} are not accepted here`)
      if (!known && (await withEngineErrors(clients.isGone(db, clientId)))) {
        throw new errors.InvalidClient('the client is disabled or was deleted')
      }
      const document = await documents.read(clientId, { isKnown: known !== undefined })
      const policy = await withEngineErrors(policyOf())
      const before = made.get(clientId)
      if (known && before?.document === document && before.policy === policy) return before.client

      const client = make({ provider, storage }, clientId, document, policy)
      await withEngineErrors(keep(storage, client, { policy, known, count }))
      made.set(clientId, { client, document, policy })
      return client
    },

    async recall(provider, known) {
      const policy = await withEngineErrors(policyOf())
      const before = recalled.get(known)
      if (before?.policy === policy) return before.client
      const circumstances = circumstancesOf(storage, policy, { isOwnWord: true })
      const metadata = within(known.metadata, circumstances) as clients.ClientMetadata
      const client = Object.assign(parse(provider, metadata), { scope: metadata['scope'] })
      recalled.set(known, { client, policy })
      return client
    },
  }
}

/**
 * Creates the look-up of the policy for documents, which reads it at most every five seconds. The object stays the same
 * until it changes.
 */
function createPolicyLookup({ db }: Storage): () => Promise<Policy> {
  let latest: Policy | undefined
  let readAtMs = 0
  return async () => {
    if (latest && Date.now() - readAtMs < policyFreshMs) return latest
    const found = await policies.find(db, documentPolicy)
    if (!found) throw new Error(`There is no registration policy ${documentPolicy}.`)
    readAtMs = Date.now()
    if (!isDeepStrictEqual(found, latest)) latest = found
    return latest ?? found
  }
}

function make(
  { provider, storage }: { provider: Provider; storage: Storage },
  clientId: string,
  document: Metadata,
  policy: Policy,
): Client {
  const circumstances = circumstancesOf(storage, policy, { isOwnWord: true })
  const metadata = effective(reduced(withoutUnused(document), circumstances), policy)
  const assertAllowed = (judged: Metadata) => {
    const refusal = judge(judged, circumstances)
    if (refusal) throw refusedBecause(refusal)
  }
  assertAllowed(metadata) // before the engine, which relies on its form
  // §4.1, even where a policy allows it
  if (needsSecret(provider, metadata)) throw refused('must not use a shared secret')
  const client = parsed(provider, { ...metadata, client_id: clientId })
  assertAllowed(defined(client))
  return client
}

const refusedBecause = ({ message, rule }: Refusal) => refused(`is refused: ${message} (${rule})`)

function parsed(provider: Provider, metadata: clients.ClientMetadata): Client {
  try {
    return parse(provider, metadata)
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error
    throw refused(`is refused: ${error.error_description ?? error.message}`)
  }
}

/** Makes sure that a client has a row with its present metadata. Writes nothing when it has. */
async function keep(
  { db, envelope, clients: cache }: Storage,
  client: Client,
  {
    policy,
    known,
    count,
  }: { policy: Policy; known: clients.ActiveClient | undefined; count: (tx: Tx) => Promise<void> },
): Promise<void> {
  const metadata = defined(client)
  const { client_id: clientId } = metadata
  if (known && isDeepStrictEqual(known.metadata, metadata)) return
  // Without an expiry: the id of a removed client can never be used again, and the owner of this address has no other.
  const origin: clients.Origin = { isDynamic: true, isDocument: true, policy: policy.name }
  try {
    await db.transaction().execute(async (tx) => {
      if (!known) await assertRoom(tx, policy)
      const isNew = (await clients.save(tx, envelope, metadata, origin, { isNew: true })) === 'saved'
      if (isNew) {
        await count(tx)
      } else {
        await clients.lock(tx, clientId)
        const active = await clients.findActive(tx, envelope, clientId)
        if (!active) throw new errors.InvalidClient('the client is disabled or was deleted')
        if (isDeepStrictEqual(active.metadata, metadata)) return // another request was first
        await clients.save(tx, envelope, metadata, origin)
        await endWhatWasNarrowed(tx, clientId, active.metadata, metadata)
      }
      const { requestId, address } = current() ?? {}
      const type = isNew ? 'client.registered' : 'client.updated'
      const details = { policy: policy.name }
      await audit.append(tx, [{ type, actor: 'anonymous', clientId, requestId, address, details }])
    })
  } catch (error) {
    if (error instanceof ClientRefused) throw refusedBecause(error.refusal)
    throw error
  } finally {
    cache.forget(clientId)
  }
}

/** Returns the metadata of a client as it is stored: without members that are `undefined`. */
function defined(client: Client): clients.ClientMetadata {
  return JSON.parse(JSON.stringify(client.metadata())) as clients.ClientMetadata
}
