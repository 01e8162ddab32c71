import { CompiledQuery } from 'kysely'
import type { Db } from '../../database/schema.ts'
import type { AuditEvent } from '../operations/audit.ts'
import type { Artifact } from './artifacts.ts'
import { type Section, textFor } from './stage-sql.ts'

type Json = Record<string, unknown>

/** The session that a request found: the identifier that it presented, and the account at that time. */
export type SessionOrigin = { uid: string; presentedHash: Buffer | undefined; accountId: string | undefined }

/** The changes of one request to its session. It contains only these, so that two tabs do not undo each other. */
export type SessionChange = {
  uid: string
  /** The session as the request found it; undefined if it is new. */
  origin: SessionOrigin | undefined
  isNew: boolean
  /** The hash of the identifier in the cookie, if the request changed it. */
  idHash: Buffer | undefined
  /** Whether the previous identifier stays valid: never across a sign-in, because it may be an attacker's. */
  keepsPrevious: boolean
  accountId: string | undefined
  changed: Json
  removed: string[]
  authorizationsChanged: Json
  authorizationsRemoved: string[]
  expiresAtSeconds: number
  /** The browser and the address that the request came from. */
  device?: { userAgent: string | undefined; address: string } | undefined
}

/** The rows that an interactive request relies on. If one of them changed since it was read, nothing is written. */
export type Basis = {
  /** The client, and the time of its last change that the request knows of. */
  client: { id: string; updatedAtMs: number }
  /** The account that tokens are issued for, in the epoch of its sign-in. */
  account: { id: string; epoch: number }
  /** The browser session, unless it begins with this request. */
  session: SessionOrigin | undefined
}

/**
 * The artifact that a request redeems. Of concurrent requests that redeem the same one, one wins. A kept artifact may
 * be used again: it only has to be valid when something is issued for it.
 */
export type Redemption = {
  model: string
  idHash: Buffer
  grantId: string | undefined
  how: 'consume' | 'destroy' | 'keep'
}

/**
 * Everything one request writes. It is applied as a whole, or not at all if its basis changed or its redemption is
 * lost.
 */
export type Stage = {
  /**
   * The client of a token request, and the version of the credentials that authenticated it. Nothing is written if the
   * client may not be used now, or these credentials are no longer valid, whatever this process remembers.
   */
  client: { id: string; credentialVersion: number | undefined } | undefined
  basis: Basis | undefined
  redemption: Redemption | undefined
  /** A device code that is approved or denied. The first decision wins. */
  decision: Artifact | undefined
  inserts: Artifact[]
  session: SessionChange | undefined
  endedSession: SessionOrigin | undefined
  audit: AuditEvent[]
}

/** `moved`: a row that it relies on changed since it was read. `lost`: another request redeemed the same artifact. */
export type Outcome = 'applied' | 'lost' | 'moved'

/** Applies stages in one statement, and returns the outcome of each, in order. */
export async function run(db: Db, stages: Stage[]): Promise<Outcome[]> {
  const numbered = stages.map((stage, n) => ({ ...stage, n }))
  const redemptions = (how: Redemption['how']) =>
    numbered.flatMap(({ n, redemption }) =>
      redemption?.how === how ? [{ n, model: redemption.model, id_hash: redemption.idHash.toString('hex') }] : [],
    )
  const changes = numbered.flatMap(({ n, session }) => (session ? [toSessionRow(n, session)] : []))
  const document: Record<Section, unknown[]> = {
    clients: numbered.flatMap(({ n, client }) =>
      client ? [{ n, id: client.id, credential_version: client.credentialVersion }] : [],
    ),
    clientless: numbered.filter(({ client, basis }) => !client && !basis).map(({ n }) => n),
    bases: numbered.flatMap(({ n, basis }) => (basis ? [toBasisRow(n, basis)] : [])),
    uncontested: numbered.filter(({ redemption }) => !redemption).map(({ n }) => n),
    grants: numbered.flatMap(({ redemption }) => redemption?.grantId ?? []),
    consume: redemptions('consume'),
    destroy: redemptions('destroy'),
    keep: redemptions('keep'),
    decisions: numbered.flatMap(({ n, decision }) => (decision ? [toArtifactRow(n, decision)] : [])),
    undecided: numbered.filter(({ decision }) => !decision).map(({ n }) => n),
    inserts: numbered.flatMap(({ n, inserts }) => inserts.map((artifact) => toArtifactRow(n, artifact))),
    newSessions: changes.filter(({ is_new }) => is_new),
    sessions: changes.filter(({ is_new }) => !is_new),
    endedSessions: numbered.flatMap(({ endedSession }) => (endedSession ? [toOriginRow(endedSession)] : [])),
    audit: numbered.flatMap(({ n, audit }) => audit.map((event) => ({ n, ...event }))),
  }

  const text = textFor((section) => document[section].length > 0)
  const { rows } = await db.executeQuery<{ n: number; won: boolean }>(
    CompiledQuery.raw(text, [JSON.stringify(document), new Date()]),
  )
  const outcomes = new Map(rows.map(({ n, won }) => [n, won ? 'applied' : 'lost'] as const))
  return stages.map((_, n) => outcomes.get(n) ?? 'moved')
}

function toBasisRow(n: number, { client, account, session }: Basis) {
  return {
    n,
    account_id: account.id,
    epoch: account.epoch,
    client_id: client.id,
    client_updated_at: new Date(client.updatedAtMs),
    ...(session && toOriginRow(session)),
  }
}

function toArtifactRow(n: number, artifact: Artifact) {
  return {
    n,
    id_hash: artifact.idHash.toString('hex'),
    model: artifact.model,
    grant_id: artifact.grantId,
    family: artifact.family,
    account_id: artifact.accountId,
    client_id: artifact.clientId,
    session_uid: artifact.sessionUid,
    user_code_hash: artifact.userCodeHash?.toString('hex'),
    payload: artifact.payload,
    expires_at: artifact.expiresAtSeconds,
  }
}

function toSessionRow(n: number, change: SessionChange) {
  return {
    n,
    is_new: change.isNew,
    uid: change.uid,
    id_hash: change.idHash?.toString('hex'),
    keeps_previous: change.keepsPrevious,
    account_id: change.accountId,
    changed: change.changed,
    removed: change.removed,
    authorizations_changed: change.authorizationsChanged,
    authorizations_removed: change.authorizationsRemoved,
    expires_at: change.expiresAtSeconds,
    user_agent: change.device?.userAgent,
    address: change.device?.address,
    ...(change.origin && toOriginRow(change.origin)),
  }
}

function toOriginRow({ uid, presentedHash, accountId }: SessionOrigin) {
  return { uid, presented_hash: presentedHash?.toString('hex'), known_account_id: accountId }
}
