import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import { keyedHash } from '../../crypto/digests.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as artifacts from '../../stores/protocol/artifacts.ts'
import { type ArtifactModel, type Facts, isArtifactModel, models } from '../../stores/protocol/models.ts'
import { kindOf } from '../endpoints.ts'
import { assertStillReturns } from '../parameters/resumed.ts'
import { isOwn } from '../request/own-interaction.ts'
import { withStandingSignIn } from '../request/parked-sign-ins.ts'
import { fromStored, hashOf, isOfLogin, toReference, toStored } from '../request/payloads.ts'
import { readOnce, type Storage, stageOf } from '../request/storage.ts'
import { current, redeem, type Work } from '../request/work.ts'

type Payload = Record<string, unknown>

// Returns whether the request resumes after an interaction. The engine then uses what it kept itself, not what came
// from the wire.
const isResuming = (work: Work | undefined) => kindOf(work?.endpoint).isResuming

/**
 * Creates the adapter of codes, tokens, pushed requests and interactions: rows under the hash of the value that finds
 * them.
 */
export function artifactAdapter(storage: Storage, model: ArtifactModel): Partial<Adapter> {
  const { db } = storage
  const { isDecided, redeemed }: Facts = models[model]

  async function load(idHash: Buffer): Promise<artifacts.FoundArtifact | undefined> {
    return (await readOnce(storage, idHash)).find((artifact) => artifact.model === model)
  }

  async function recall(id: string, artifact: artifacts.FoundArtifact): Promise<AdapterPayload | undefined> {
    const work = current()
    if (work) remember(work, artifact)
    if (work?.endpoint === 'token' && model === 'RefreshToken' && isWithin(storage.reuseWindowSeconds, artifact)) {
      return undefined
    }
    const payload = fromStored(storage, artifact, id)
    // An interaction exists only for the browser that began it, not for another one with copied cookies.
    if (model === 'Interaction' && !isOwn(payload)) return undefined
    if (model === 'Interaction' && isResuming(work)) await assertStillReturns(payload)
    return {
      ...(work && isResuming(work) ? await withStandingSignIn(storage, work, payload) : payload),
      jti: id,
      ...(artifact.consumedAtMs !== undefined && { consumed: Math.floor(artifact.consumedAtMs / 1000) }),
    } as AdapterPayload
  }

  return {
    async find(id) {
      if (id.startsWith('#') && !isResuming(current())) return undefined
      const artifact = await load(hashOf(id))
      return artifact && recall(id, artifact)
    },

    async findByUserCode(userCode) {
      const artifact = await artifacts.findByUserCodeHash(db, keyedHash(storage.userCodeKey, userCode))
      const payload = artifact && (await recall(toReference(artifact.idHash), artifact))
      return payload && { ...payload, userCode }
    },

    async upsert(id, payload) {
      const work = current()
      const idHash = hashOf(id)
      const known = (await work?.reads.artifacts.get(idHash.toString('hex')))?.find((found) => found.model === model)
      const artifact = toStored(storage, { model, id, idHash, payload: payload as Payload })

      if (work && isDecided && (known || id.startsWith('#'))) {
        work.writes.decision = artifact
      } else if (known) {
        work?.reads.artifacts.delete(idHash.toString('hex'))
        const isSaved = await artifacts.update(db, artifact, known.payload)
        // An interaction that has ended stays ended; the route that saved it finds out when it resumes.
        if (!isSaved && model !== 'Interaction') throw new errors.InvalidGrant(`${model} no longer exists`)
      } else if (work) {
        work.writes.inserts.push(artifact)
      } else {
        await storage.apply(stageOf({ inserts: [artifact] }))
      }
    },

    async consume(id) {
      const work = current()
      const idHash = hashOf(id)
      if (work?.endpoint === 'token') {
        redeem(work, { model, idHash, grantId: work.reads.source?.grantId, how: 'consume' })
        return
      }
      const isPushed = redeemed === 'at-once'
      if (await artifacts.consume(db, model, idHash)) {
        if (work && isPushed) work.writes.pushedHash = idHash
        return
      }
      throw isPushed
        ? new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
        : new errors.InvalidGrant(`${model} was already used`)
    },

    async destroy(id) {
      const work = current()
      const idHash = hashOf(id)
      if (redeemed === 'by-ending' && work) {
        redeem(work, { model, idHash, grantId: undefined, how: 'destroy' })
      } else {
        await artifacts.destroy(db, model, idHash)
      }
    },

    revokeByGrantId: (grantId) => revoke(storage, grantId),
  }
}

/** Keeps what came with an artifact, to answer the engine's next questions. */
function remember(work: Work, artifact: artifacts.FoundArtifact): void {
  if (isOfLogin(artifact.model)) work.reads.source = artifact
  if (artifact.account) work.reads.accounts.set(artifact.account.id, artifact.account)
  if (artifact.grant && artifact.grantId) work.reads.grants.set(artifact.grantId, artifact.grant)
  if (artifact.session && !work.reads.sessions.has(artifact.session.uid)) {
    work.reads.sessions.set(artifact.session.uid, {
      found: { ...artifact.session, account: undefined },
      presentedId: undefined,
    })
  }
}

function isWithin(windowSeconds: number, { consumedAtMs }: artifacts.FoundArtifact): boolean {
  return consumedAtMs !== undefined && Date.now() - consumedAtMs < windowSeconds * 1000
}

/**
 * Revokes everything that was issued in the login of the presented code or token. A logout revokes only what is bound
 * to the session that ends: the person's other devices, and offline access, stay. The engine requests it once for every
 * model that the client may use now; one deletion covers all models.
 */
function revoke(storage: Storage, grantId: string): Promise<void> {
  const work = current()
  const source = work?.reads.source?.grantId === grantId ? work.reads.source : undefined
  const [sessionUid] = work?.endpoint === 'logout' ? work.reads.sessions.keys() : []
  const isReuse = work?.endpoint === 'token' && source?.consumedAtMs !== undefined

  const run = async () => {
    await storage.db.transaction().execute(async (tx) => {
      const revoked = await artifacts.revoke(tx, {
        grantId,
        family: sessionUid ? undefined : source?.family,
        sessionUid,
      })
      await audit.append(tx, [
        {
          type: isReuse && isArtifactModel(source.model) ? models[source.model].reuseEvent : 'tokens.revoked',
          accountId: source?.accountId,
          clientId: source?.clientId,
          grantId,
          requestId: work?.requestId,
          address: work?.address,
          details: { revoked },
        },
      ])
    })
  }
  if (!work) return run()
  const { revocations } = work.writes
  const running = revocations.get(grantId) ?? run()
  revocations.set(grantId, running)
  return running
}
