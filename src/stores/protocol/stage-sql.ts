/*
 * One statement applies any number of stages. It locks rows in one order: accounts, clients, sessions, grants,
 * artifacts, each by its key. Everything that revokes or deletes locks in this order, too, and first changes the row
 * that the others depend on: whichever locks second sees the changes of the first. PostgreSQL reads a row again after
 * it waited for its lock. A data-modifying CTE runs to its end whether it is read or not.
 *
 * Rows are found by an array of their keys, in addition to the join. The planner assumes a hundred rows in a set from
 * JSON, and would read a small table whole; for an array it uses the index.
 */
const keysOf = (section: string, key: string) =>
  `any(array(select ${key} from json_to_recordset($1->'${section}') as k(id_hash text, uid text, id text,
    account_id text, client_id text)))`

// A delayed request may write what it read long ago. So one of these must hold: its cookie still names the session; the
// session still has the account that the request read; or it now has the account that signs in with this request.
// Otherwise an attacker who planted a cookie before a sign-in would own the session after it.
const stillTheirs = (presentedHash: string, knownAccountId: string, accountId: string) =>
  `(decode(${presentedHash}, 'hex') = o.id_hash or decode(${presentedHash}, 'hex') = o.previous_id_hash
    or ${knownAccountId} is not distinct from o.account_id or ${accountId} = o.account_id)`

const parts = {
  usable: `usable as (
    select c.n from json_to_recordset($1->'clients') as c(n int, id text, credential_version int)
    join clients k on k.id = c.id
    where k.id = ${keysOf('clients', 'id')}
      and k.disabled_at is null and k.deleted_at is null and (k.expires_at is null or k.expires_at > $2)
      and (c.credential_version = k.credential_version
        or c.credential_version = k.credential_version - 1 and k.previous_secret_expires_at > $2)
    union all select value::int from json_array_elements_text($1->'clientless'))`,
  // Each reads the previous one, so that they run and lock in this order.
  heldAccounts: `held_accounts as (select id, epoch, disabled_at from accounts
    where id = ${keysOf('bases', 'account_id')} order by id for share)`,
  heldClients: `held_clients as (select id, updated_at, disabled_at, deleted_at, expires_at from clients
    where id = ${keysOf('bases', 'client_id')} and (select count(*) from held_accounts) >= 0 order by id for share)`,
  // A share lock would not do: two tabs could each hold one on the session, and then neither could write it.
  heldSessions: `held_sessions as (select uid, id_hash, previous_id_hash, account_id, destroyed_at from sessions
    where uid = ${keysOf('bases', 'uid')} and (select count(*) from held_clients) >= 0 order by uid for no key update)`,
  based: `based as (
    select b.n from json_to_recordset($1->'bases') as b(n int, account_id text, epoch int, client_id text,
      client_updated_at timestamptz, uid text, presented_hash text, known_account_id text)
    join held_accounts a on a.id = b.account_id and a.epoch = b.epoch and a.disabled_at is null
    join held_clients k on k.id = b.client_id and date_trunc('milliseconds', k.updated_at) = b.client_updated_at
      and k.disabled_at is null and k.deleted_at is null and (k.expires_at is null or k.expires_at > $2)
    where b.uid is null or exists (select from held_sessions o where o.uid = b.uid and o.destroyed_at is null
      and ${stillTheirs('b.presented_hash', 'b.known_account_id', 'b.account_id')}))`,
  // The redemptions below read it, so that it runs and locks before them.
  locked: `locked as (select id from grants
    where id = any(array(select value from json_array_elements_text($1->'grants'))) order by id for key share)`,
  consumed: `consumed as (
    update artifacts a set consumed_at = $2
    from json_to_recordset($1->'consume') as c(n int, model text, id_hash text)
    where a.id_hash = ${keysOf('consume', "decode(id_hash, 'hex')")}
      and a.id_hash = decode(c.id_hash, 'hex') and a.model = c.model and a.consumed_at is null and a.destroyed_at is null
      and c.n in (select n from standing) and (select count(*) from locked) >= 0
    returning c.n)`,
  kept: `kept as (
    select c.n from json_to_recordset($1->'keep') as c(n int, model text, id_hash text)
    join artifacts a on a.id_hash = decode(c.id_hash, 'hex') and a.model = c.model
    where a.id_hash = ${keysOf('keep', "decode(id_hash, 'hex')")} and a.consumed_at is null and a.destroyed_at is null
      and c.n in (select n from standing) and (select count(*) from locked) >= 0
    order by a.id_hash for share of a)`,
  destroyed: `destroyed as (
    update artifacts a set destroyed_at = $2, payload = '{}'
    from json_to_recordset($1->'destroy') as c(n int, model text, id_hash text)
    where a.id_hash = ${keysOf('destroy', "decode(id_hash, 'hex')")}
      and a.id_hash = decode(c.id_hash, 'hex') and a.model = c.model and a.destroyed_at is null
      and c.n in (select n from standing)
    returning c.n)`,
  decided: `decided as (
    update artifacts a set payload = d.payload, grant_id = d.grant_id, account_id = d.account_id, session_uid = d.session_uid
    from json_to_recordset($1->'decisions') as d(n int, id_hash text, model text, payload jsonb, grant_id text,
      account_id text, session_uid text)
    where a.id_hash = ${keysOf('decisions', "decode(id_hash, 'hex')")}
      and a.id_hash = decode(d.id_hash, 'hex') and a.model = d.model and a.account_id is null and not a.payload ? 'error'
      and d.n in (select n from entitled)
    returning d.n)`,
  inserts: `inserted as (
    insert into artifacts (id_hash, model, grant_id, family, account_id, client_id, session_uid, user_code_hash, payload,
      expires_at, created_at)
    select decode(i.id_hash, 'hex'), i.model, i.grant_id, i.family, i.account_id, i.client_id, i.session_uid,
      decode(i.user_code_hash, 'hex'), i.payload, to_timestamp(i.expires_at), $2
    from json_to_recordset($1->'inserts') as i(n int, id_hash text, model text, grant_id text, family text,
      account_id text, client_id text, session_uid text, user_code_hash text, payload jsonb, expires_at float8)
    where i.n in (select n from winners))`,
  newSessions: `new_sessions as (
    insert into sessions (uid, id_hash, account_id, payload, authorizations, expires_at, created_at, user_agent,
      first_address, last_address, last_seen_at)
    select s.uid, decode(s.id_hash, 'hex'), s.account_id, s.changed, s.authorizations_changed, to_timestamp(s.expires_at),
      $2, s.user_agent, s.address, s.address, $2
    from json_to_recordset($1->'newSessions') as s(n int, uid text, id_hash text, account_id text, changed jsonb,
      authorizations_changed jsonb, expires_at float8, user_agent text, address text)
    where s.n in (select n from winners)
    on conflict do nothing)`,
  sessions: `changed_sessions as (
    update sessions o set
      id_hash = coalesce(decode(s.id_hash, 'hex'), o.id_hash),
      previous_id_hash = case when s.id_hash is null then o.previous_id_hash when s.keeps_previous then o.id_hash end,
      account_id = case when s.changed ? 'accountId' or 'accountId' = any(s.removed) then s.account_id else o.account_id end,
      payload = (o.payload - s.removed) || s.changed,
      authorizations = (o.authorizations - s.authorizations_removed) || s.authorizations_changed,
      expires_at = to_timestamp(s.expires_at),
      user_agent = coalesce(s.user_agent, o.user_agent), first_address = coalesce(o.first_address, s.address),
      last_address = coalesce(s.address, o.last_address), last_seen_at = $2
    from json_to_recordset($1->'sessions') as s(n int, uid text, id_hash text, keeps_previous boolean, account_id text,
      changed jsonb, removed text[], authorizations_changed jsonb, authorizations_removed text[], expires_at float8,
      user_agent text, address text, presented_hash text, known_account_id text)
    where o.uid = ${keysOf('sessions', 'uid')} and o.uid = s.uid and o.destroyed_at is null and s.n in (select n from winners)
      and ${stillTheirs('s.presented_hash', 's.known_account_id', 's.account_id')})`,
  endedSessions: `ended_sessions as (
    update sessions o set destroyed_at = $2, payload = '{}', authorizations = '{}', user_agent = null,
      first_address = null, last_address = null
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

/** The lists in the document that a statement reads. */
export type Section =
  | 'clients'
  | 'clientless'
  | 'bases'
  | 'uncontested'
  | 'grants'
  | 'consume'
  | 'destroy'
  | 'keep'
  | 'decisions'
  | 'undecided'
  | 'inserts'
  | 'newSessions'
  | 'sessions'
  | 'endedSessions'
  | 'audit'

const union = (...names: (string | false)[]) =>
  names
    .filter((name) => name !== false)
    .map((name) => `select n from ${name}`)
    .join(' union all ')

const numbers = (section: string) => `(select value::int from json_array_elements_text($1->'${section}'))`

/**
 * Builds the statement for a document whose non-empty sections `has` tells. $1 is the document, $2 the current time.
 */
export function textFor(has: (section: Section) => boolean): string {
  // Empty sections are left out. Few different texts remain, and each is prepared once.
  const redeemed = union(has('consume') && 'consumed', has('destroy') && 'destroyed', has('keep') && 'kept')
  const sections = [
    parts.usable,
    ...(has('bases') ? [parts.heldAccounts, parts.heldClients, parts.heldSessions, parts.based] : []),
    `standing as (${union('usable', has('bases') && 'based')})`,
    (has('consume') || has('keep')) && parts.locked,
    has('consume') && parts.consumed,
    has('destroy') && parts.destroyed,
    has('keep') && parts.kept,
    `entitled as (select n from standing where n in ${numbers('uncontested')} ${redeemed && `union all ${redeemed}`})`,
    has('decisions') && parts.decided,
    `winners as (${
      has('decisions')
        ? `select n from entitled where n in ${numbers('undecided')} union all select n from decided`
        : 'select n from entitled'
    })`,
    has('inserts') && parts.inserts,
    has('newSessions') && parts.newSessions,
    has('sessions') && parts.sessions,
    has('endedSessions') && parts.endedSessions,
    has('audit') && parts.audit,
  ].filter((part) => part !== false)
  const text = `with ${sections.join(',\n')} select n, n in (select n from winners) as won from standing`

  // A cast wherever they are read gives $1 and $2 their types.
  return text.replaceAll('$1', '$1::json').replaceAll('$2', '$2::timestamptz')
}
