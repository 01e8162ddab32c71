import { CompiledQuery } from 'kysely'
import type { Db } from '../database/schema.ts'
import type { Artifact } from './artifacts.ts'
import type { AuditEvent } from './audit.ts'

type Json = Record<string, unknown>

/** Which session a request found: by which identifier, and whose it was. */
export type SessionOrigin = { uid: string; presentedHash: Buffer | undefined; accountId: string | undefined }

/** What one request wants to change in its session. Only what it changed, so that two tabs do not undo each other. */
export type SessionChange = {
  uid: string
  /** The session as the request found it; absent when it is new. */
  origin: SessionOrigin | undefined
  isNew: boolean
  /** Present when the identifier in the cookie is a new one. */
  idHash: Buffer | undefined
  /** Whether the identifier used until now stays good: never across a sign-in, where it may be an attacker's. */
  keepsPrevious: boolean
  accountId: string | undefined
  changed: Json
  removed: string[]
  authorizationsChanged: Json
  authorizationsRemoved: string[]
  expiresAtSeconds: number
}

/** Everything one request writes. It is applied whole, or not at all when the claim is lost. */
export type Stage = {
  /** The client that is issued something. One that may not be used at this moment, whatever a process remembers, loses. */
  clientId: string | undefined
  /** The single-use artifact this request redeems; of concurrent requests claiming the same one, one wins. */
  claim: { model: string; idHash: Buffer; grantId: string | undefined; how: 'consume' | 'destroy' } | undefined
  inserts: Artifact[]
  session: SessionChange | undefined
  endedSession: SessionOrigin | undefined
  audit: AuditEvent[]
}

export type Outcome = 'applied' | 'lost'

/*
 * One statement for any number of stages. Row locks are taken in one order, grants before artifacts, and
 * grants by id, as `revoke` in artifacts.ts does. A data-modifying CTE runs to its end whether read or not.
 *
 * Rows are looked up by an array of their keys, besides being joined: of a set from JSON the planner believes it
 * has a hundred rows, and would rather read a small table whole; of an array it asks the index.
 */
const keysOf = (section: string, key: string) =>
  `any(array(select ${key} from json_to_recordset($1->'${section}') as k(id_hash text, uid text, id text)))`

// A request that was held up may write what it read long ago. Its cookie has to name the session still; or nobody
// else has signed in there since; or who did is who signed in with this request. Else whoever planted a cookie
// before a sign-in would own the session after it.
const stillTheirs = (presentedHash: string, knownAccountId: string, accountId: string) =>
  `(decode(${presentedHash}, 'hex') = o.id_hash or decode(${presentedHash}, 'hex') = o.previous_id_hash
    or ${knownAccountId} is not distinct from o.account_id or ${accountId} = o.account_id)`

const parts = {
  usable: `usable as (
    select c.n from json_to_recordset($1->'clients') as c(n int, id text) join clients k on k.id = c.id
    where k.id = ${keysOf('clients', 'id')}
      and k.disabled_at is null and k.deleted_at is null and (k.expires_at is null or k.expires_at > $2)
    union all select value::int from json_array_elements_text($1->'clientless'))`,
  // Read by the claims below, so that it runs, and locks, before them.
  locked: `locked as (select id from grants
    where id = any(array(select value from json_array_elements_text($1->'grants'))) order by id for key share)`,
  consumed: `consumed as (
    update artifacts a set consumed_at = $2
    from json_to_recordset($1->'consume') as c(n int, model text, id_hash text)
    where a.id_hash = ${keysOf('consume', "decode(id_hash, 'hex')")}
      and a.id_hash = decode(c.id_hash, 'hex') and a.model = c.model and a.consumed_at is null and a.destroyed_at is null
      and c.n in (select n from usable) and (select count(*) from locked) >= 0
    returning c.n)`,
  destroyed: `destroyed as (
    update artifacts a set destroyed_at = $2, payload = '{}'
    from json_to_recordset($1->'destroy') as c(n int, model text, id_hash text)
    where a.id_hash = ${keysOf('destroy', "decode(id_hash, 'hex')")}
      and a.id_hash = decode(c.id_hash, 'hex') and a.model = c.model and a.destroyed_at is null
      and c.n in (select n from usable)
    returning c.n)`,
  inserts: `inserted as (
    insert into artifacts (id_hash, model, grant_id, family, account_id, client_id, session_uid, user_code_hash, payload,
      expires_at, created_at)
    select decode(i.id_hash, 'hex'), i.model, i.grant_id, i.family, i.account_id, i.client_id, i.session_uid,
      decode(i.user_code_hash, 'hex'), i.payload, to_timestamp(i.expires_at), $2
    from json_to_recordset($1->'inserts') as i(n int, id_hash text, model text, grant_id text, family text,
      account_id text, client_id text, session_uid text, user_code_hash text, payload jsonb, expires_at float8)
    where i.n in (select n from winners))`,
  newSessions: `new_sessions as (
    insert into sessions (uid, id_hash, account_id, payload, authorizations, expires_at, created_at)
    select s.uid, decode(s.id_hash, 'hex'), s.account_id, s.changed, s.authorizations_changed, to_timestamp(s.expires_at), $2
    from json_to_recordset($1->'newSessions') as s(n int, uid text, id_hash text, account_id text, changed jsonb,
      authorizations_changed jsonb, expires_at float8)
    where s.n in (select n from winners)
    on conflict do nothing)`,
  sessions: `changed_sessions as (
    update sessions o set
      id_hash = coalesce(decode(s.id_hash, 'hex'), o.id_hash),
      previous_id_hash = case when s.id_hash is null then o.previous_id_hash when s.keeps_previous then o.id_hash end,
      account_id = case when s.changed ? 'accountId' or 'accountId' = any(s.removed) then s.account_id else o.account_id end,
      payload = (o.payload - s.removed) || s.changed,
      authorizations = (o.authorizations - s.authorizations_removed) || s.authorizations_changed,
      expires_at = to_timestamp(s.expires_at)
    from json_to_recordset($1->'sessions') as s(n int, uid text, id_hash text, keeps_previous boolean, account_id text,
      changed jsonb, removed text[], authorizations_changed jsonb, authorizations_removed text[], expires_at float8,
      presented_hash text, known_account_id text)
    where o.uid = ${keysOf('sessions', 'uid')} and o.uid = s.uid and o.destroyed_at is null and s.n in (select n from winners)
      and ${stillTheirs('s.presented_hash', 's.known_account_id', 's.account_id')})`,
  endedSessions: `ended_sessions as (
    update sessions o set destroyed_at = $2, payload = '{}', authorizations = '{}'
    from json_to_recordset($1->'endedSessions') as s(uid text, presented_hash text, known_account_id text)
    where o.uid = ${keysOf('endedSessions', 'uid')} and o.uid = s.uid and o.destroyed_at is null
      and ${stillTheirs('s.presented_hash', 's.known_account_id', 's.known_account_id')})`,
  audit: `audited as (
    insert into audit_events (occurred_at, type, actor, account_id, client_id, resource, grant_id, request_id, address, details)
    select $2, e.type, e.actor, e."accountId", e."clientId", e.resource, e."grantId", e."requestId", e.address,
      coalesce(e.details, '{}')
    from json_to_recordset($1->'audit') as e(n int, type text, actor text, "accountId" text, "clientId" text,
      resource text, "grantId" text, "requestId" text, address text, details jsonb)
    where e.n in (select n from winners))`,
}

const winners = (claims: string[]) =>
  `winners as (select n from usable where n in (select value::int from json_array_elements_text($1->'uncontested'))${claims
    .map((name) => ` union all select n from ${name}`)
    .join('')})`

/** Applies stages in one statement, and tells for each whether it was applied or lost. */
export async function run(db: Db, stages: Stage[]): Promise<Outcome[]> {
  const numbered = stages.map((stage, n) => ({ ...stage, n }))
  const claims = (how: 'consume' | 'destroy') =>
    numbered.flatMap(({ n, claim }) =>
      claim?.how === how ? [{ n, model: claim.model, id_hash: claim.idHash.toString('hex') }] : [],
    )
  const changes = numbered.flatMap(({ n, session }) => (session ? [toSessionRow(n, session)] : []))
  const document = {
    clients: numbered.flatMap(({ n, clientId: id }) => (id === undefined ? [] : [{ n, id }])),
    clientless: numbered.filter(({ clientId }) => clientId === undefined).map(({ n }) => n),
    uncontested: numbered.filter(({ claim }) => !claim).map(({ n }) => n),
    grants: numbered.flatMap(({ claim }) => claim?.grantId ?? []),
    consume: claims('consume'),
    destroy: claims('destroy'),
    inserts: numbered.flatMap(({ n, inserts }) => inserts.map((artifact) => toArtifactRow(n, artifact))),
    newSessions: changes.filter(({ is_new }) => is_new),
    sessions: changes.filter(({ is_new }) => !is_new),
    endedSessions: numbered.flatMap(({ endedSession }) => (endedSession ? [toOriginRow(endedSession)] : [])),
    audit: numbered.flatMap(({ n, audit }) => audit.map((event) => ({ n, ...event }))),
  }

  // Sections nobody needs are left out; the few texts that remain are each prepared once.
  const claimed = [document.consume.length > 0 && 'consumed', document.destroy.length > 0 && 'destroyed'].filter(
    (name) => name !== false,
  )
  const sections = [
    parts.usable,
    document.consume.length > 0 && parts.locked,
    document.consume.length > 0 && parts.consumed,
    document.destroy.length > 0 && parts.destroyed,
    winners(claimed),
    document.inserts.length > 0 && parts.inserts,
    document.newSessions.length > 0 && parts.newSessions,
    document.sessions.length > 0 && parts.sessions,
    document.endedSessions.length > 0 && parts.endedSessions,
    document.audit.length > 0 && parts.audit,
  ].filter((part) => part !== false)
  const text = `with ${sections.join(',\n')} select n from winners`

  // The type of $1 and $2 is fixed by a cast where they are first read.
  const typed = text.replaceAll('$1', '$1::json').replaceAll('$2', '$2::timestamptz')
  const { rows } = await db.executeQuery<{ n: number }>(
    CompiledQuery.raw(typed, [JSON.stringify(document), new Date()]),
  )
  const won = new Set(rows.map(({ n }) => n))
  return stages.map((_, n) => (won.has(n) ? 'applied' : 'lost'))
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
    ...(change.origin && toOriginRow(change.origin)),
  }
}

function toOriginRow({ uid, presentedHash, accountId }: SessionOrigin) {
  return { uid, presented_hash: presentedHash?.toString('hex'), known_account_id: accountId }
}
