import type { Db } from '../database/schema.ts'
import * as audit from '../stores/audit.ts'
import * as grants from '../stores/grants.ts'

type Payload = Record<string, unknown>

/** Scopes and claims, of OpenID Connect and of each resource server. */
export type Permissions = { scopes: string[]; claims: string[]; resources: Record<string, string[]> }

/** What a person was asked for and what of it was approved. */
export type Decision = { asked: Permissions; approved: Permissions }

/** What the consent page said about the client; when that changes the person is asked again. */
export type Shown = { name: string; host: string }

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

/** Records a decision for an account and a client, and returns the id of their grant. */
export function record(
  db: Db,
  {
    accountId,
    clientId,
    shown,
    lifetimeSeconds,
    event,
    ...decision
  }: Decision & {
    accountId: string
    clientId: string
    shown: Shown
    lifetimeSeconds: number
    event: { requestId?: string | undefined; address?: string | undefined }
  },
): Promise<string> {
  return db.transaction().execute(async (tx) => {
    const now = Math.floor(Date.now() / 1000)
    const grantId = await grants.change(tx, { accountId, clientId }, (current) => ({
      payload: {
        kind: 'Grant',
        iat: now,
        exp: now + lifetimeSeconds,
        accountId,
        clientId,
        ...decide(current as GrantPayload | undefined, decision),
      },
      shown,
      expiresAtSeconds: now + lifetimeSeconds,
    }))
    await audit.append(tx, [
      { type: 'consent.given', accountId, clientId, grantId, details: { approved: decision.approved }, ...event },
    ])
    return grantId
  })
}
