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
import { type Refusal, Refused } from '../../registration/refusal.ts'
import type { Policy } from '../../registration/rules.ts'
import type { Secret } from '../../secret.ts'
import * as clients from '../../stores/clients/clients.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as rateLimits from '../../stores/operations/rate-limits.ts'
import type { Client } from '../engine.ts'
import { type Storage, translated } from '../request/storage.ts'
import { current } from '../request/work.ts'
import { scopes } from '../scopes.ts'
import { TooMany } from '../too-many.ts'
import { assertRoom, needsSecret } from './by-administrator.ts'
import { type Documents, refused } from './document-fetch.ts'
import { parse } from './metadata.ts'
import { endWhatWasNarrowed } from './narrowed.ts'

export type ClientDocuments = {
  /**
   * The client that a document makes. `known` is its row, if it was accepted before and may be used.
   *
   * @throws errors.InvalidClient saying what is wrong with the document, or that the client may not be used.
   */
  find(provider: Provider, clientId: string, known: clients.ActiveClient | undefined): Promise<Client | undefined>
  /** A client by what its document said last, with no more than the policy allows by now. */
  recall(provider: Provider, known: clients.ActiveClient): Promise<Client>
}

type Made = { client: Client; document: Metadata; policy: Policy }

const policyFreshMs = 5_000 // the same bound on staleness as for clients
const remembered = 1_000 // clients, as many as documents are kept
const windowSeconds = 3_600
const accepted = { most: 300, reserved: 60 } // new documents in an hour, and how many of them are for networks with none yet

/**
 * Clients whose id is the address of their metadata (draft-ietf-oauth-client-id-metadata-document-02). What a document
 * says is completed and judged by the policy `document`, as any registration is. A row stands for the client, so that it
 * can have grants and tokens, be listed, disabled and deleted; its metadata is what the document said last.
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

  /** Counts a new client for everybody: only what was accepted. */
  async function count(tx: Tx): Promise<void> {
    const own = keyHash('of', widestNetworkOf(current()?.address ?? ''))
    const everyone = { keyHash: keyHash('everyone'), ...accepted }
    const seconds = await rateLimits.takeShared(tx, { own, everyone, windowSeconds })
    if (seconds > 0) throw new TooMany('client id metadata documents were new', seconds)
  }

  return {
    async find(provider, clientId, known) {
      const url = addressOf(clientId)
      if (!url) return undefined
      if (!isAccepted(url, hosts)) throw new errors.InvalidClient(`client ids at ${url.host} are not accepted here`)
      if (!known && (await translated(clients.isGone(db, clientId)))) {
        throw new errors.InvalidClient('the client is disabled or was deleted')
      }
      const document = await documents.read(clientId, { isKnown: known !== undefined })
      const policy = await translated(policyOf())
      const before = made.get(clientId)
      if (known && before?.document === document && before.policy === policy) return before.client

      const client = make({ provider, storage }, clientId, document, policy)
      await translated(keep(storage, client, { policy, known, count }))
      made.set(clientId, { client, document, policy })
      return client
    },

    async recall(provider, known) {
      const policy = await translated(policyOf())
      const before = recalled.get(known)
      if (before?.policy === policy) return before.client
      const metadata = within(known.metadata, { policy, ...circumstancesOf(storage) }) as clients.ClientMetadata
      const client = Object.assign(parse(provider, metadata), { scope: metadata['scope'] })
      recalled.set(known, { client, policy })
      return client
    },
  }
}

/** The policy for documents, read at most every five seconds. The same object as long as it does not change. */
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
  const circumstances = { policy, ...circumstancesOf(storage) }
  const metadata = effective(reduced(withoutUnused(document), circumstances), policy)
  const assertAllowed = (judged: Metadata) => {
    const refusal = judge(judged, circumstances)
    if (refusal) throw refusedBecause(refusal)
  }
  assertAllowed(metadata) // first, because the engine takes its form for granted
  // §4.1, whatever a policy allows
  if (needsSecret(provider, metadata)) throw refused('must not use a shared secret')
  const client = parsed(provider, { ...metadata, client_id: clientId })
  assertAllowed(defined(client))
  return client
}

const refusedBecause = ({ message, rule }: Refusal) => refused(`is refused: ${message} (${rule})`)

const circumstancesOf = ({ issuer }: Storage) => ({
  isLoopbackIssuer: issuer.startsWith('http:'),
  openScopes: Object.keys(scopes),
  isOwnWord: true,
})

function parsed(provider: Provider, metadata: clients.ClientMetadata): Client {
  try {
    return parse(provider, metadata)
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error
    throw refused(`is refused: ${error.error_description ?? error.message}`)
  }
}

/** Sees to it that there is a row for a client, with what it shows now. Writes nothing when there is. */
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
  // Without an end: an id that was removed is never good again, and this one is its owner's for good.
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
    if (error instanceof Refused) throw refusedBecause(error.refusal)
    throw error
  } finally {
    cache.forget(clientId)
  }
}

/** What a client says of itself, as it is stored: without members that are `undefined`. */
function defined(client: Client): clients.ClientMetadata {
  return JSON.parse(JSON.stringify(client.metadata())) as clients.ClientMetadata
}
