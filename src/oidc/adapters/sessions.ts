import { isDeepStrictEqual } from 'node:util'
import type { Adapter, AdapterPayload } from 'oidc-provider'
import { sha256 } from '../../crypto/digests.ts'
import * as sessions from '../../stores/protocol/sessions.ts'
import type { SessionChange, SessionOrigin } from '../../stores/protocol/stages.ts'
import { originOf } from '../request/basis.ts'
import { type Storage, stageOf } from '../request/storage.ts'
import { current, recordEvent } from '../request/work.ts'

type Payload = Record<string, unknown>

/**
 * Creates the adapter of browser sessions. The engine rewrites a whole session on every request, and rotates its
 * identifier by destroying and saving it. Here a session is one row by `uid`, and only what a request changed is
 * written: two tabs do not undo each other's changes, and a rotation never looks like a logout.
 */
export function sessionAdapter(storage: Storage): Partial<Adapter> {
  const { db, envelope } = storage

  const toPayload = ({ uid, payload, authorizations }: sessions.StoredSession, id: string): AdapterPayload => {
    const { state, ...rest } = payload
    return structuredClone({
      ...rest,
      ...(typeof state === 'string' && { state: JSON.parse(envelope.open(state, sessions.stateIdentity(uid))) }),
      ...(Object.keys(authorizations).length > 0 && { authorizations }),
      uid,
      jti: id,
    }) as AdapterPayload
  }

  function remember(found: sessions.FoundSession, presentedId: string | undefined): void {
    const work = current()
    work?.reads.sessions.set(found.uid, { found, presentedId })
    if (found.account) work?.reads.accounts.set(found.account.id, found.account)
  }

  return {
    async find(id) {
      const found = await storage.findSession(sha256(id))
      if (!found) return undefined
      remember(found, id)
      return toPayload(found, id)
    },

    async findByUid(uid) {
      const known = current()?.reads.sessions.get(uid)?.found
      const found = known ?? (await sessions.findByUid(db, uid))
      if (!found) return undefined
      if (!known) remember(found, undefined)
      return toPayload(found, `#${uid}`)
    },

    async upsert(id, payload) {
      const work = current()
      const known = work?.reads.sessions.get(String(payload.uid))
      const before = known && (toPayload(known.found, id) as Payload)
      const change = difference(before, payload as Payload, {
        origin: known && originOf(known),
        idHash: id === known?.presentedId || id.startsWith('#') ? undefined : sha256(id),
        seal: (state) => envelope.seal(JSON.stringify(state), sessions.stateIdentity(String(payload.uid))),
      })
      if (!work) {
        await storage.apply(stageOf({ session: change }))
        return
      }
      work.writes.session = { ...change, device: { userAgent: work.userAgent, address: work.address } }
      if (change.accountId !== undefined && change.accountId !== known?.found.accountId) {
        const details = work.userAgent ? { user_agent: work.userAgent } : {}
        recordEvent({ type: 'session.began', accountId: change.accountId, details })
      }
      if (work.writes.endedSession?.uid === change.uid) work.writes.endedSession = undefined
    },

    async destroy(id) {
      const work = current()
      const known = [...(work?.reads.sessions.values() ?? [])].find(({ presentedId }) => presentedId === id)
      const found = known?.found ?? (await storage.findSession(sha256(id)))
      if (!found) return
      const origin = { uid: found.uid, presentedHash: sha256(id), accountId: found.accountId }
      if (!work) {
        await storage.apply(stageOf({ endedSession: origin }))
        return
      }
      work.writes.endedSession = origin
      work.writes.session = undefined
      if (work.endpoint === 'logout') recordEvent({ type: 'session.ended', accountId: found.accountId })
    },
  }
}

function difference(
  before: Payload | undefined,
  after: Payload,
  {
    origin,
    idHash,
    seal,
  }: { origin: SessionOrigin | undefined; idHash: Buffer | undefined; seal: (state: unknown) => string },
): SessionChange {
  const { jti: _1, uid: _2, authorizations: had = {}, ...old } = before ?? {}
  const { jti: _3, uid, authorizations: has = {}, ...now } = after
  const values = changes(old, now)
  const authorizations = changes(had as Payload, has as Payload)
  const accountId = typeof after['accountId'] === 'string' ? after['accountId'] : undefined
  return {
    uid: String(uid),
    origin,
    isNew: before === undefined,
    idHash,
    keepsPrevious: accountId !== undefined && before?.['accountId'] === accountId,
    accountId,
    changed: 'state' in values.changed ? { ...values.changed, state: seal(values.changed['state']) } : values.changed,
    removed: values.removed,
    authorizationsChanged: authorizations.changed,
    authorizationsRemoved: authorizations.removed,
    expiresAtSeconds: Number(after['exp']),
  }
}

function changes(before: Payload, after: Payload): { changed: Payload; removed: string[] } {
  const changed = Object.entries(after).filter(
    ([name, value]) => value !== undefined && !isDeepStrictEqual(value, before[name]),
  )
  const removed = Object.keys(before).filter((name) => after[name] === undefined)
  return { changed: Object.fromEntries(changed), removed }
}
