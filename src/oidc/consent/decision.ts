import type { StoredGrant } from '../../stores/protocol/grants.ts'
import type { ClientIdentity } from '../clients/shown.ts'

type Payload = Record<string, unknown>

/** Scopes and claims, of OpenID Connect and of each resource server. */
export type Permissions = { scopes: string[]; claims: string[]; resources: Record<string, string[]> }

/** The permissions that a page asked for, and the part of them that the person approved. */
export type Decision = { asked: Permissions; approved: Permissions }

/** The record of how a stored grant came about. */
export type Circumstances = Partial<ClientIdentity> & {
  /** The permissions of a first-party client, granted without a question. They are not consent. */
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

/** Merges each list of one with the same list of the other. */
export function combine(
  one: Permissions,
  other: Permissions,
  merge: (a: string[], b: string[]) => string[],
): Permissions {
  const ids = new Set([...Object.keys(one.resources), ...Object.keys(other.resources)])
  return {
    scopes: merge(one.scopes, other.scopes),
    claims: merge(one.claims, other.claims),
    resources: Object.fromEntries(
      [...ids].map((id) => [id, merge(one.resources[id] ?? [], other.resources[id] ?? [])]),
    ),
  }
}

export const plus = (a: string[], b: string[]) => [...new Set([...a, ...b])]
export const minus = (a: string[], b: string[]) => a.filter((item) => !b.includes(item))

/**
 * Returns the grant after a decision. The approved part is granted and the rest is rejected, so that no page asks
 * for it again. Everything else stays as it was. An approval undoes an earlier rejection.
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

/** Returns everything that a stored grant approves and rejects. */
export function permissionsOf(payload: GrantPayload | undefined): { granted: Permissions; rejected: Permissions } {
  return { granted: read(payload), rejected: read(payload?.rejected) }
}

export const none: Permissions = { scopes: [], claims: [], resources: {} }

export function isNothing({ scopes, claims, resources }: Permissions): boolean {
  return [scopes, claims, ...Object.values(resources)].every((list) => list.length === 0)
}

/** Returns the part of a request that was neither approved nor denied yet; `undefined` when that is nothing. */
export function undecided(payload: GrantPayload | undefined, requested: Permissions): Permissions | undefined {
  const decided = combine(read(payload), read(payload?.rejected), plus)
  const { resources, ...left } = combine(requested, decided, minus)
  const asked = Object.entries(resources).filter(([, scope]) => scope.length > 0)
  const open = { ...left, resources: Object.fromEntries(asked) }
  return isNothing(open) ? undefined : open
}

/**
 * Says whether nothing of a request is granted after a decision, although the person could have granted something. What
 * they were asked counts as requested: an API that the request does not name may be the client's only one.
 */
export function leavesNothing(current: GrantPayload | undefined, decision: Decision, requested: Permissions): boolean {
  if (isNothing(decision.asked)) return false
  const wanted = combine(requested, decision.asked, plus)
  const granted = read(decide(current, decision))
  return isNothing(combine(wanted, granted, (a, b) => a.filter((item) => b.includes(item))))
}

/** Returns a grant without what nobody consented to, since the client was a first-party one when it was granted. */
export function consented({ payload, shown }: Pick<StoredGrant, 'payload' | 'shown'>): GrantPayload {
  const { skipped } = shown as Circumstances
  const grant = payload as GrantPayload
  return skipped ? { ...grant, ...write(combine(read(grant), skipped, minus)) } : grant
}
