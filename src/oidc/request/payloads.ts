import { keyedHash, randomId, sha256 } from '../../crypto/digests.ts'
import { type Artifact, type FoundArtifact, identity } from '../../stores/protocol/artifacts.ts'
import { isArtifactModel, models } from '../../stores/protocol/models.ts'
import { bind } from './browser.ts'
import type { Storage } from './storage.ts'
import { current, type Work } from './work.ts'

type Payload = Record<string, unknown>

/**
 * Returns a reference to a device code, `#` and its hash. The engine handles it in place of a code that was found by
 * its user code, and so is not known in clear. A reference is accepted for saving, and for reading where the engine
 * itself kept it, in an interaction. From the wire it is worth nothing, because a stolen database would be full of
 * them.
 */
export function toReference(idHash: Buffer): string {
  return `#${idHash.toString('hex')}`
}

/** Returns the hash that a bearer value, or a reference to one, is stored under. */
export function hashOf(id: string): Buffer {
  return id.startsWith('#') ? Buffer.from(id.slice(1), 'hex') : sha256(id)
}

/** Returns an artifact as the database keeps it: without the bearer values in its payload. */
export function toStored(
  storage: Storage,
  { model, id, idHash, payload }: { model: string; id: string; idHash: Buffer; payload: Payload },
): Artifact {
  // `jti` is the bearer value itself; `consumed` is a column that no save may touch.
  const { jti: _jti, consumed: _consumed, userCode, ...rest } = payload
  const work = current()
  const body =
    model === 'Interaction' ? { ...withoutBearers(rest, id), browser: work?.browser && bind(work.browser) } : rest
  const text = (name: string) => (typeof rest[name] === 'string' ? rest[name] : undefined)
  const params = rest['params'] as Payload | undefined
  return {
    model,
    idHash,
    grantId: model === 'Interaction' ? undefined : text('grantId'),
    family: isOfLogin(model) ? familyOf(work) : undefined,
    accountId: model === 'Interaction' ? undefined : text('accountId'),
    clientId: text('clientId') ?? (typeof params?.['client_id'] === 'string' ? params['client_id'] : undefined),
    sessionUid: text('sessionUid'),
    userCodeHash: typeof userCode === 'string' ? keyedHash(storage.userCodeKey, userCode) : undefined,
    payload: isSealed(model) ? { sealed: storage.envelope.seal(JSON.stringify(body), identity(model, idHash)) } : body,
    expiresAtSeconds: typeof rest['exp'] === 'number' ? rest['exp'] : undefined,
  }
}

/** Returns whether a model belongs to a login, and is revoked with it. */
export const isOfLogin = (model: string): boolean => isArtifactModel(model) && models[model].isOfLogin
const isSealed = (model: string): boolean => isArtifactModel(model) && models[model].isSealed

/** Returns the family of what a request issues: that of the code or token which it presented, otherwise a new one. */
function familyOf(work: Work | undefined): string {
  if (!work) return randomId(16)
  work.writes.newFamily ??= randomId(16)
  return work.reads.source?.family ?? work.writes.newFamily
}

/**
 * Returns the payload as the engine saved it, without the members that `recall` in `adapters/artifacts.ts` puts back.
 */
export function fromStored(
  storage: Storage,
  { model, idHash, payload }: Pick<FoundArtifact, 'model' | 'idHash' | 'payload'>,
  id: string,
): Payload {
  if (!isSealed(model)) return payload
  const body = JSON.parse(storage.envelope.open(String(payload['sealed']), identity(model, idHash)))
  return model === 'Interaction' ? { ...body, returnTo: String(body.returnTo).replace(ownId, id) } : body
}

const ownId = '{uid}'

function withoutBearers({ session, deviceCode, parJti, returnTo, ...rest }: Payload, id: string): Payload {
  const { cookie: _cookie, ...shown } = (session ?? {}) as Payload
  const reference = (value: unknown) =>
    typeof value === 'string' && !value.startsWith('#') ? toReference(sha256(value)) : value
  return {
    ...rest,
    ...(session !== undefined && { session: shown }),
    ...(deviceCode !== undefined && { deviceCode: reference(deviceCode) }),
    ...(parJti !== undefined && { parJti: reference(parJti) }),
    returnTo: String(returnTo).replace(id, ownId),
  }
}
