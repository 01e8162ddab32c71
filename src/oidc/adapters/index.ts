import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import { keyedHash } from '../../crypto/digests.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as artifacts from '../../stores/protocol/artifacts.ts'
import * as grants from '../../stores/protocol/grants.ts'
import { assertArtifactModel } from '../../stores/protocol/models.ts'
import * as replays from '../../stores/protocol/replays.ts'
import { assertStillReturns } from '../parameters/resumed.ts'
import { isOwn } from '../request/own-interaction.ts'
import { withStandingSignIn } from '../request/parked-sign-ins.ts'
import { fromStored, hashOf, ofFamily, toReference, toStored } from '../request/payloads.ts'
import { readOnce, type Storage, stageOf, translated } from '../request/storage.ts'
import { current, type RequestScope } from '../request/work.ts'
import { clientAdapter } from './clients.ts'
import { initialAccessTokenAdapter, registrationAccessTokenAdapter } from './registration-tokens.ts'
import { sessionAdapter } from './sessions.ts'

type Payload = Record<string, unknown>

/** The engine's adapter (its `example/my_adapter.js` names the methods) over PostgreSQL. */
export function adapterWith(storage: Storage): (model: string) => Adapter {
  return (model) => translating(adapterOf(storage, model))
}

function adapterOf(storage: Storage, model: string): Partial<Adapter> {
  switch (model) {
    case 'Client':
      return clientAdapter(storage)
    case 'Session':
      return sessionAdapter(storage)
    case 'Grant':
      return grantAdapter(storage)
    case 'InitialAccessToken':
      return initialAccessTokenAdapter(storage)
    case 'RegistrationAccessToken':
      return registrationAccessTokenAdapter(storage, artifactAdapter(storage, model))
    case 'ReplayDetection': // kept in a table of its own
      return artifactAdapter(storage, model)
    default:
      assertArtifactModel(model)
      return artifactAdapter(storage, model)
  }
}

function translating(adapter: Partial<Adapter>): Adapter {
  const method =
    (name: keyof Adapter) =>
    async (...args: never[]) => {
      const implementation = adapter[name] as ((...args: never[]) => Promise<never>) | undefined
      if (!implementation) throw new Error(`${name} is not something this model has.`)
      return translated(implementation(...args))
    }
  return {
    find: method('find'),
    findByUid: method('findByUid'),
    findByUserCode: method('findByUserCode'),
    upsert: method('upsert'),
    consume: method('consume'),
    destroy: method('destroy'),
    revokeByGrantId: method('revokeByGrantId'),
  }
}

// Where an interaction is over, and the engine goes by what it kept itself and not by what came from the wire.
const isResuming = (scope: RequestScope | undefined) =>
  scope?.endpoint === 'resume' || scope?.endpoint === 'device-resume'

function artifactAdapter(storage: Storage, model: string): Partial<Adapter> {
  const { db } = storage

  async function load(idHash: Buffer): Promise<artifacts.FoundArtifact | undefined> {
    return (await readOnce(storage, idHash)).find((artifact) => artifact.model === model)
  }

  async function recall(id: string, artifact: artifacts.FoundArtifact): Promise<AdapterPayload | undefined> {
    const scope = current()
    if (scope) remember(scope, artifact)
    if (scope?.endpoint === 'token' && model === 'RefreshToken' && isWithin(storage.reuseWindowSeconds, artifact)) {
      return undefined
    }
    const payload = fromStored(storage, artifact, id)
    // To any other browser than the one it began in there is no such interaction, whatever its cookies say.
    if (model === 'Interaction' && !isOwn(payload)) return undefined
    if (model === 'Interaction' && isResuming(scope)) await assertStillReturns(payload)
    return {
      ...(scope && isResuming(scope) ? await withStandingSignIn(storage, scope, payload) : payload),
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
      const scope = current()
      const idHash = hashOf(id)
      const known = (await scope?.artifacts.get(idHash.toString('hex')))?.find((found) => found.model === model)
      const artifact = toStored(storage, { model, id, idHash, payload: payload as Payload })

      if (model === 'ReplayDetection') {
        await replays.claim(db, idHash, new Date((payload.exp ?? 0) * 1000))
      } else if (scope && model === 'DeviceCode' && (known || id.startsWith('#'))) {
        scope.decision = artifact
      } else if (known) {
        scope?.artifacts.delete(idHash.toString('hex'))
        const isSaved = await artifacts.update(db, artifact, known.payload)
        // An interaction that ended meanwhile stays ended; the route that saved it finds out when it resumes.
        if (!isSaved && model !== 'Interaction') throw new errors.InvalidGrant(`${model} is no longer there`)
      } else if (scope) {
        scope.inserts.push(artifact)
      } else {
        await storage.apply(stageOf({ inserts: [artifact] }))
      }
    },

    async consume(id) {
      const scope = current()
      const idHash = hashOf(id)
      if (scope?.endpoint === 'token') {
        scope.claim = { model, idHash, grantId: scope.source?.grantId, how: 'consume' }
        return
      }
      if (await artifacts.consume(db, model, idHash)) {
        if (scope && model === 'PushedAuthorizationRequest') scope.pushedHash = idHash
        return
      }
      if (model === 'PushedAuthorizationRequest') {
        throw new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
      }
      throw new errors.InvalidGrant(`${model} was already used`)
    },

    async destroy(id) {
      const scope = current()
      const idHash = hashOf(id)
      if (model === 'Interaction' && scope) {
        scope.claim = { model, idHash, grantId: undefined, how: 'destroy' }
      } else {
        await artifacts.destroy(db, model, idHash)
      }
    },

    revokeByGrantId: (grantId) => revoke(storage, grantId),
  }
}

/** Makes what came with an artifact answer the engine's next questions. */
function remember(scope: RequestScope, artifact: artifacts.FoundArtifact): void {
  if (ofFamily.has(artifact.model)) scope.source = artifact
  if (artifact.account) scope.accounts.set(artifact.account.id, artifact.account)
  if (artifact.grant && artifact.grantId) scope.grants.set(artifact.grantId, artifact.grant)
  if (artifact.session && !scope.sessions.has(artifact.session.uid)) {
    scope.sessions.set(artifact.session.uid, {
      found: { ...artifact.session, account: undefined },
      presentedId: undefined,
    })
  }
}

function isWithin(windowSeconds: number, { consumedAtMs }: artifacts.FoundArtifact): boolean {
  return consumedAtMs !== undefined && Date.now() - consumedAtMs < windowSeconds * 1000
}

/**
 * Revokes what was issued in the login the presented code or token belongs to. At logout, only what is bound
 * to the session that ends: a person's other devices, and offline access, stay. The engine asks once a model,
 * leaving out those the client may not use now; one deletion covers them all.
 */
function revoke(storage: Storage, grantId: string): Promise<void> {
  const scope = current()
  const source = scope?.source?.grantId === grantId ? scope.source : undefined
  const [sessionUid] = scope?.endpoint === 'logout' ? scope.sessions.keys() : []
  const isReuse = scope?.endpoint === 'token' && source?.consumedAtMs !== undefined

  const work = async () => {
    await storage.db.transaction().execute(async (tx) => {
      const revoked = await artifacts.revoke(tx, {
        grantId,
        family: sessionUid ? undefined : source?.family,
        sessionUid,
      })
      await audit.append(tx, [
        {
          type: isReuse ? `${source.model === 'RefreshToken' ? 'refresh_token' : 'code'}.reused` : 'tokens.revoked',
          accountId: source?.accountId,
          clientId: source?.clientId,
          grantId,
          requestId: scope?.requestId,
          address: scope?.address,
          details: { revoked },
        },
      ])
    })
  }
  if (!scope) return work()
  const running = scope.revocations.get(grantId) ?? work()
  scope.revocations.set(grantId, running)
  return running
}

function grantAdapter({ db }: Storage): Partial<Adapter> {
  return {
    async find(id) {
      const known = current()?.grants.get(id)
      return (known ?? (await grants.findById(db, id))?.payload) as AdapterPayload | undefined
    },
    async destroy(id) {
      const scope = current()
      await db.transaction().execute(async (tx) => {
        const pair = await grants.destroy(tx, id)
        if (!pair) return
        const { requestId, address } = scope ?? {}
        await audit.append(tx, [{ type: 'grant.revoked', grantId: id, ...pair, requestId, address }])
      })
    },
  }
}
