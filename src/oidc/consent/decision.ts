import type { Db, Tx } from '../../database/schema.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as grants from '../../stores/protocol/grants.ts'
import * as sessions from '../../stores/protocol/sessions.ts'
import type { Shown } from '../clients/askers.ts'

type Payload = Record<string, unknown>

/** Scopes and claims, of OpenID Connect and of each resource server. */
export type Permissions = { scopes: string[]; claims: string[]; resources: Record<string, string[]> }

/** What a person was asked for and what of it was approved. */
export type Decision = { asked: Permissions; approved: Permissions }

/** What a stored grant says about how it came about. */
type Circumstances = Partial<Shown> & {
  /** What was granted to a first-party client without anybody having been asked. It is no consent. */
  skipped?: Permissions
}

type Part = { openid?: { scope?: string; claims?: string[] }; resources?: Record<string, string> }
/** A grant as the engine stores it. */
export type GrantPayload = Payload & Part & { rejected?: Part; exp: number }

const words = (text: string | undefined) => (text ? text.split(' ') : [])

function read(part: Part | undefined): Permissions {
  const resources = Object.entries(part?.resources ?? {}).map(([id, scope]) => [id, words(scope)])
  return {
    scopes: words(part?.openid?.scope),
    claims: part?.openid?.claims ?? [],
    resources: Object.fromEntries(resources),
  }
}

function write({ scopes, claims, resources }: Permissions): Part {
  const granted = Object.entries(resources).filter(([, scope]) => scope.length > 0)
  return {
    openid: { ...(scopes.length > 0 && { scope: scopes.join(' ') }), ...(claims.length > 0 && { claims }) },
    resources: Object.fromEntries(granted.map(([id, scope]) => [id, scope.join(' ')])),
  }
}

function combine(one: Permissions, other: Permissions, merge: (a: string[], b: string[]) => string[]): Permissions {
  const ids = new Set([...Object.keys(one.resources), ...Object.keys(other.resources)])
  return {
    scopes: merge(one.scopes, other.scopes),
    claims: merge(one.claims, other.claims),
    resources: Object.fromEntries(
      [...ids].map((id) => [id, merge(one.resources[id] ?? [], other.resources[id] ?? [])]),
    ),
  }
}

const plus = (a: string[], b: string[]) => [...new Set([...a, ...b])]
const minus = (a: string[], b: string[]) => a.filter((item) => !b.includes(item))

/**
 * The grant after a decision. Of what was asked, the approved part is granted and the rest rejected, so it is
 * not asked for again; what was not asked stays as it was. An approval undoes an earlier rejection.
 */
export function decide(
  current: GrantPayload | undefined,
  { asked, approved }: Decision,
): Pick<GrantPayload, 'openid' | 'resources' | 'rejected'> {
  const denied = combine(asked, approved, minus)
  const granted = combine(combine(read(current), denied, minus), approved, plus)
  const rejected = combine(combine(read(current?.rejected), approved, minus), denied, plus)
  return { ...write(granted), rejected: write(rejected) }
}

/** Everything a stored grant approves and rejects. */
export function permissionsOf(payload: GrantPayload | undefined): { granted: Permissions; rejected: Permissions } {
  return { granted: read(payload), rejected: read(payload?.rejected) }
}

const none: Permissions = { scopes: [], claims: [], resources: {} }

function isNothing({ scopes, claims, resources }: Permissions): boolean {
  return [scopes, claims, ...Object.values(resources)].every((list) => list.length === 0)
}

/** What of a request was neither approved nor denied yet; `undefined` when there is nothing. */
export function undecided(payload: GrantPayload | undefined, requested: Permissions): Permissions | undefined {
  const decided = combine(read(payload), read(payload?.rejected), plus)
  const { resources, ...left } = combine(requested, decided, minus)
  const asked = Object.entries(resources).filter(([, scope]) => scope.length > 0)
  const open = { ...left, resources: Object.fromEntries(asked) }
  return isNothing(open) ? undefined : open
}

/** Tells whether a decision leaves nothing of a request granted. */
export function leavesNothing(current: GrantPayload | undefined, decision: Decision, requested: Permissions): boolean {
  const granted = read(decide(current, decision))
  return isNothing(combine(requested, granted, (a, b) => a.filter((item) => b.includes(item))))
}

/** A grant without what nobody consented to, because the client was a first-party one. */
export function consented({ payload, shown }: Pick<grants.StoredGrant, 'payload' | 'shown'>): GrantPayload {
  const { skipped } = shown as Circumstances
  const grant = payload as GrantPayload
  return skipped ? { ...grant, ...write(combine(read(grant), skipped, minus)) } : grant
}

/** When each API of a decision was registered, in milliseconds, as far as whoever decided knows. */
export type Registrations = ReadonlyMap<string, number>

type Pair = grants.Pair & {
  lifetimeSeconds: number
  /** Without it no API is granted. */
  registrations?: Registrations
  event: { requestId?: string | undefined; address?: string | undefined }
}

/**
 * Records a decision for an account and a client, and returns the id of their grant. `'session-ended'` when the session
 * in which it was made is over by now: then nobody decided.
 */
export function record(
  db: Db,
  { shown, event, registrations, sessionUid, ...decision }: Decision & Pair & { shown: Shown; sessionUid: string },
): Promise<string | 'session-ended'> {
  const { accountId, clientId, lifetimeSeconds } = decision
  const pair = { accountId, clientId, lifetimeSeconds }
  return db.transaction().execute(async (tx) => {
    if (!(await sessions.hold(tx, { uid: sessionUid, accountId }))) return 'session-ended'
    const [asked, approved] = await ofStanding(tx, [decision.asked, decision.approved], registrations)
    const { id: grantId } = await change(tx, pair, (current, { skipped = none }) => ({
      decided: decide(current, { asked, approved }),
      shown: { ...shown, skipped: combine(skipped, asked, minus) },
    }))
    await audit.append(tx, [{ type: 'consent.given', accountId, clientId, grantId, details: { approved }, ...event }])
    return grantId
  })
}

/**
 * Grants a first-party client what it requests without asking, except for what the person denied before. It is
 * marked as such, so that it is not taken for consent should the client be no first-party one any more.
 */
export function skip(
  db: Db,
  { requested: wanted, registrations, event, ...pair }: Pair & { requested: Permissions },
): Promise<{ id: string; payload: GrantPayload }> {
  const { accountId, clientId } = pair
  return db.transaction().execute(async (tx) => {
    const [requested] = await ofStanding(tx, [wanted], registrations)
    let granted: Permissions | undefined
    const grant = await change(tx, pair, (current, { skipped = none, ...shown }) => {
      granted = undecided(current, requested)
      const decision = { asked: granted ?? none, approved: granted ?? none }
      return {
        decided: decide(current, decision),
        shown: { ...shown, skipped: combine(skipped, decision.asked, plus) },
      }
    })
    if (granted) {
      await audit.append(tx, [
        { type: 'consent.skipped', accountId, clientId, grantId: grant.id, details: { granted }, ...event },
      ])
    }
    return grant
  })
}

/** Permissions without those of an API that was deleted since it was shown, even if there is another one in its place. */
async function ofStanding<All extends [Permissions, ...Permissions[]]>(
  tx: Tx,
  all: All,
  registrations: Registrations = new Map(),
): Promise<All> {
  const ids = new Set(all.flatMap(({ resources }) => Object.keys(resources)))
  const held = await resourceServers.holdRegistrations(tx, [...ids])
  const isStanding = ([id]: [string, unknown]) => held.has(id) && held.get(id) === registrations.get(id)
  return all.map((permissions) => ({
    ...permissions,
    resources: Object.fromEntries(Object.entries(permissions.resources).filter(isStanding)),
  })) as All
}

async function change(
  tx: Tx,
  { accountId, clientId, lifetimeSeconds }: Omit<Pair, 'event' | 'registrations'>,
  decideOn: (
    current: GrantPayload | undefined,
    circumstances: Circumstances,
  ) => { decided: ReturnType<typeof decide>; shown: Circumstances },
): Promise<{ id: string; payload: GrantPayload }> {
  const now = Math.floor(Date.now() / 1000)
  const exp = now + lifetimeSeconds
  let changed = {} as GrantPayload
  const id = await grants.change(tx, { accountId, clientId }, (current, before) => {
    const { decided, shown } = decideOn(current as GrantPayload | undefined, before as Circumstances)
    const { skipped, ...seen } = shown
    changed = { kind: 'Grant', iat: now, exp, accountId, clientId, ...decided }
    return {
      payload: changed,
      shown: { ...seen, ...(skipped && !isNothing(skipped) && { skipped }) },
      expiresAtSeconds: exp,
    }
  })
  return { id, payload: changed }
}
