import type { Db, Tx } from '../../database/schema.ts'
import * as resourceServers from '../../stores/clients/resource-servers.ts'
import * as audit from '../../stores/operations/audit.ts'
import * as grants from '../../stores/protocol/grants.ts'
import * as sessions from '../../stores/protocol/sessions.ts'
import type { ClientIdentity } from '../clients/shown.ts'
import {
  type Circumstances,
  combine,
  type Decision,
  decide,
  type GrantPayload,
  isNothing,
  minus,
  none,
  type Permissions,
  plus,
  undecided,
} from './decision.ts'

/** When each API of a decision was registered, in milliseconds, as the consent page knew it. */
export type Registrations = ReadonlyMap<string, number>

type Pair = grants.Pair & {
  lifetimeSeconds: number
  /** Without it no API is granted. */
  registrations?: Registrations
  event: { requestId?: string | undefined; address?: string | undefined }
}

/**
 * Records a decision for an account and a client.
 *
 * @returns the id of their grant, or `'session-ended'` when the session in which it was made has ended: then nobody decided.
 */
export function record(
  db: Db,
  {
    shown,
    event,
    registrations,
    sessionUid,
    ...decision
  }: Decision & Pair & { shown: ClientIdentity; sessionUid: string },
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
 * Grants a first-party client what it requests without asking, except for what the person denied before. The grant says
 * so, and is not taken for consent if the client stops being a first-party one.
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

/** Leaves out the permissions of an API that was deleted since it was shown, even if another one has taken its place. */
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
