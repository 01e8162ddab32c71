import { errors } from 'oidc-provider'
import type { Envelope } from '../../crypto/envelope.ts'
import { type Batched, batched } from '../../database/batches.ts'
import { isUnavailable, isUnstorable } from '../../database/connect.ts'
import type { Db, Tx } from '../../database/schema.ts'
import type { Secret } from '../../secret.ts'
import type { ActiveClient } from '../../stores/clients/clients.ts'
import * as artifacts from '../../stores/protocol/artifacts.ts'
import * as grants from '../../stores/protocol/grants.ts'
import * as sessions from '../../stores/protocol/sessions.ts'
import * as stages from '../../stores/protocol/stages.ts'
import { current } from './work.ts'

/** Clients by id, kept in the process: `oidc/clients/cache.ts`. */
export type ClientCache = {
  /** Returns an active client: the same object as long as nothing changed. */
  find(id: string): Promise<ActiveClient | undefined>
  forget(id: string): void
  stop(): Promise<void>
}

export type StorageDependencies = {
  issuer: string
  db: Db
  envelope: Envelope
  clients: ClientCache
  userCodeKey: Secret<Buffer>
  /** The seconds after the use of a refresh token in which a second use is rejected without revoking its family. */
  reuseWindowSeconds: number
}

/**
 * The storage that the adapters of all models share: reads in batches, and one statement for all writes of a request.
 */
export type Storage = StorageDependencies & {
  find: Batched<Buffer, artifacts.FoundArtifact[]>
  findSession: Batched<Buffer, sessions.FoundSession | undefined>
  findGrant: Batched<grants.Pair, grants.StoredGrant | undefined>
  apply(stage: stages.Stage): Promise<stages.Outcome>
  applyIn(tx: Tx, stage: stages.Stage): Promise<stages.Outcome>
}

/**
 * The error of a database that is away, read-only or out of connections. It is never reported as "not found" or
 * "invalid".
 */
export class TemporarilyUnavailable extends errors.OIDCProviderError {
  constructor(cause: unknown) {
    super(503, 'temporarily_unavailable', { cause } as never)
    this.expose = true
    this.error_description = 'the server is temporarily unavailable, try again shortly'
  }
}

/** Awaits a database operation and turns its failures into errors that the engine knows. */
export async function withEngineErrors<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (isUnavailable(error)) throw new TemporarilyUnavailable(error)
    if (isUnstorable(error)) throw new errors.InvalidRequest('the request contains a character that cannot be stored')
    throw error
  }
}

const limits = { inFlight: 2, largest: 64 } // more at once would make more and smaller batches

/** Creates the storage, with batches of reads and of stages that all models share. */
export function createStorage(dependencies: StorageDependencies): Storage {
  const { db } = dependencies
  const applyBatched = batched((items: stages.Stage[]) => stages.apply(db, items), limits)
  return {
    ...dependencies,
    find: batched(async (hashes) => {
      const found = await artifacts.findByHashes(db, hashes)
      return hashes.map((hash) => found.filter(({ idHash }) => idHash.equals(hash)))
    }, limits),
    findSession: batched((hashes) => sessions.findByIdHashes(db, hashes), limits),
    findGrant: batched((pairs) => grants.findAll(db, pairs), limits),
    async apply(stage) {
      const result = await applyBatched(stage)
      if (result.status === 'rejected') throw result.reason
      return result.value
    },
    applyIn: stages.applyIn,
  }
}

/** Reads artifacts under a hash, once for each request. */
export function readOnce(storage: Storage, idHash: Buffer): Promise<artifacts.FoundArtifact[]> {
  const work = current()
  const key = idHash.toString('hex')
  const reading = work?.reads.artifacts.get(key) ?? storage.find(idHash)
  work?.reads.artifacts.set(key, reading)
  return reading
}

/** Returns a stage that has nothing but the given part. */
export function stageOf(part: Partial<stages.Stage>): stages.Stage {
  return {
    client: undefined,
    basis: undefined,
    redemption: undefined,
    decision: undefined,
    inserts: [],
    session: undefined,
    endedSession: undefined,
    audit: [],
    ...part,
  }
}
