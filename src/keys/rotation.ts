import type { Config } from '../config/index.ts'
import type { Envelope } from '../crypto/envelope.ts'
import type { Db, Tx } from '../database/schema.ts'
import { untilOurTurn } from '../database/waiting.ts'
import * as keys from '../stores/keys/keys.ts'
import * as audit from '../stores/operations/audit.ts'
import type { KeyService } from './key-service.ts'
import { announcedAt, type DueStep, purposeOf, rules, type Step, settlingMs, stepsAhead } from './life-cycle.ts'
import { make } from './making.ts'

export type RotationDependencies = {
  config: Config
  db: Db
  envelope: Envelope
  /** The service that stores private keys, if the database does not. */
  keyService: KeyService | undefined
}

/**
 * Takes the first due step for a purpose, if there is one and no other process is taking it.
 *
 * Each step is a transaction with its audit event, and the database alone determines the next step. A process that dies
 * leaves a step undone or done, and any other process continues from there. Generating a key, and destroying one in a
 * service, may take long, so this happens before the transaction and makes nobody wait.
 *
 * @param now the current time, read again when the step is stored
 * @returns the step that was taken, otherwise the time of the next one if it is known.
 */
export async function takeStep(
  dependencies: RotationDependencies,
  purpose: string,
  now: () => Date = () => new Date(),
): Promise<{ taken: Step } | { nextAt: Date | undefined }> {
  const { db, config, keyService } = dependencies
  const find = async (on: Db) => firstDue(ahead(await keys.list(on), config), { purpose, at: now(), keyService })
  const due = await find(db)
  if (!due || due.at > now()) return { nextAt: due?.at }
  const { step } = due
  const made = step.kind === 'create' ? await make(purpose, keyService) : undefined
  if (step.kind === 'destroy') await keyService?.destroy(referenceOf(step.key))

  const isTaken = await db.transaction().execute(async (tx) => {
    if (!(await keys.tryLead(tx))) return false
    const found = await find(tx)
    if (!found || !isSame(found.step, step)) return false
    await take(tx, dependencies, { step, made, at: now() })
    return true
  })
  if (isTaken) return { taken: step }
  if (made?.serviceReference !== undefined) await keyService?.destroy(made.serviceReference) // another process was first
  return { nextAt: undefined }
}

function referenceOf({ id, serviceReference }: keys.Key): string {
  if (serviceReference === undefined) throw new Error(`The key ${id} is in no key-management service.`)
  return serviceReference
}

/** Lists all known steps ahead, the first one first. */
export function ahead(all: readonly keys.Key[], config: Config): DueStep[] {
  return [...rules(config)]
    .flatMap(([purpose, rule]) => stepsAhead(all, purpose, rule))
    .sort((a, b) => a.at.getTime() - b.at.getTime())
}

/** Chooses the next step. Destroying a key comes last of the due steps, because a service may not allow it. */
function firstDue(
  steps: readonly DueStep[],
  { purpose, at, keyService }: { purpose: string; at: Date; keyService: KeyService | undefined },
): DueStep | undefined {
  const own = steps.filter(({ step }) => purposeOf(step) === purpose && (step.kind !== 'destroy' || keyService))
  return own.find((due) => due.at <= at && due.step.kind !== 'destroy') ?? own[0]
}

function isSame(a: Step, b: Step): boolean {
  const keyOf = (step: Step) => ('key' in step ? step.key.id : undefined)
  return a.kind === b.kind && purposeOf(a) === purposeOf(b) && keyOf(a) === keyOf(b)
}

/**
 * Makes the next key take over early from an active one: now if every cache has it, otherwise as soon as they do. The
 * transaction must lead.
 */
export async function advance(
  tx: Tx,
  { config }: RotationDependencies,
  active: keys.Key,
): Promise<{ purpose: string; kid: string | undefined; takes_over_at: string; is_done: boolean }> {
  const { purpose } = active
  const now = new Date()
  const rotation = rules(config).get(purpose)?.rotation
  if (!rotation) throw new Error(`The ${purpose} does not rotate.`)
  const next = (await keys.list(tx)).find((key) => key.purpose === purpose && keys.isNext(key))
  const takesOverAt = next ? announcedAt(next, rotation) : new Date(now.getTime() + settlingMs + rotation.rememberedMs)
  const isDone = next !== undefined && takesOverAt <= now
  if (isDone) await succeed(tx, { purpose, id: next.id, at: now })
  else await keys.requestRotation(tx, active.id, now)
  return { purpose, kid: next?.id, takes_over_at: (isDone ? now : takesOverAt).toISOString(), is_done: isDone }
}

/**
 * Adds an active key for each purpose that has none, in whichever process comes first. Several may generate a key for the
 * same purpose, which may take long, so this happens before the transaction. One of them is stored.
 */
export async function makeMissing(dependencies: RotationDependencies, now: Date): Promise<void> {
  const { config, db, keyService } = dependencies
  const find = async (on: Db) => missingSteps(await keys.list(on), [...rules(config).keys()])
  for (let [step] = await find(db); step; [step] = await find(db)) {
    const missing = step
    const made = missing.kind === 'create' ? await make(missing.purpose, keyService) : undefined
    const isTaken = await untilOurTurn(() =>
      db.transaction().execute(async (tx) => {
        await keys.lead(tx)
        const isStillMissing = (await find(tx)).some((one) => isSame(one, missing))
        if (isStillMissing) await take(tx, dependencies, { step: missing, made, at: now })
        return isStillMissing
      }),
    )
    // A service that does not allow this keeps a key that nobody uses, which is no reason not to start.
    if (!isTaken && made?.serviceReference !== undefined)
      await keyService?.destroy(made.serviceReference).catch(() => {})
  }
}

/** Lists a step for each purpose without an active key: its next key takes over, or one is created. */
function missingSteps(all: readonly keys.Key[], purposes: readonly string[]): Step[] {
  return purposes.flatMap((purpose): Step[] => {
    const own = all.filter((key) => key.purpose === purpose)
    if (own.some(({ state }) => state === 'active')) return []
    const next = own.find(keys.isNext)
    return [next ? { kind: 'activate', key: next } : { kind: 'create', purpose }]
  })
}

async function take(
  tx: Tx,
  { envelope }: RotationDependencies,
  { step, made, at }: { step: Step; made: keys.NewKey | undefined; at: Date },
): Promise<void> {
  const purpose = purposeOf(step)
  if (step.kind === 'create') {
    if (!made) throw new Error('A key must be generated before it is added.')
    const own = (await keys.list(tx)).filter((key) => key.purpose === purpose)
    const state = own.some((key) => key.state === 'active') ? 'pending' : 'active'
    await keys.add(tx, envelope, made, { state, at })
    await audit.append(tx, [{ type: 'key.created', actor: 'system', details: { kid: made.id, purpose, state } }])
    return
  }
  const { id } = step.key
  if (step.kind === 'publish') await keys.publish(tx, id, at)
  if (step.kind === 'activate') await succeed(tx, { purpose, id, at })
  if (step.kind === 'remove') await keys.remove(tx, id, { at })
  if (step.kind === 'destroy') await keys.setDestroyed(tx, id)
  const type = `key.${pastTenses[step.kind]}` as const
  await audit.append(tx, [{ type, actor: 'system', details: { kid: id, purpose } }])
}

const pastTenses = { publish: 'published', activate: 'activated', remove: 'removed', destroy: 'destroyed' } as const

/** Makes a key take over from the active one for its purpose, in one transaction: there is always exactly one. */
export async function succeed(tx: Tx, { purpose, id, at }: { purpose: string; id: string; at: Date }): Promise<void> {
  const active = (await keys.list(tx)).find((key) => key.purpose === purpose && key.state === 'active')
  if (active) await keys.retire(tx, active.id, at)
  await keys.activate(tx, id, at)
}
