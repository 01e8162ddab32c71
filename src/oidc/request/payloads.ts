import { keyedHash, randomId, sha256 } from '../../crypto/digests.ts'
import { type Artifact, type FoundArtifact, identity } from '../../stores/protocol/artifacts.ts'
import { isArtifactModel, models } from '../../stores/protocol/models.ts'
import { bind } from './browser.ts'
import type { Storage } from './storage.ts'
import { current, type Work } from './work.ts'

type Payload = Record<string, unknown>

/**
 * A device code found by its user code is not known in clear: the engine then handles a reference, `#` and
 * the hash. A reference is good for saving, and for reading where the engine itself kept it, in an
 * interaction; from the wire it is worth nothing, since a stolen database would be full of them.
 */
export function toReference(idHash: Buffer): string {
  return `#${idHash.toString('hex')}`
}

/** The hash a bearer value, or a reference, is stored under. */
export function hashOf(id: string): Buffer {
  return id.startsWith('#') ? Buffer.from(id.slice(1), 'hex') : sha256(id)
}

/** An artifact as the database keeps it: without the bearer values its payload came with. */
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

/** Says whether a model belongs to a login, and is revoked with it. */
export const isOfLogin = (model: string): boolean => isArtifactModel(model) && models[model].isOfLogin
const isSealed = (model: string): boolean => isArtifactModel(model) && models[model].isSealed

/** The family of what is issued: that of the code or token which the request presented, or else a new one. */
function familyOf(work: Work | undefined): string {
  if (!work) return randomId(16)
  work.writes.newFamily ??= randomId(16)
  return work.reads.source?.family ?? work.writes.newFamily
}

/** The payload as the engine gave it, but for what `recall` puts back. */
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
