import type { Config } from '../config.ts'
import type { Envelope } from '../crypto/envelope.ts'
import type { Db, Tx } from '../database/schema.ts'
import * as audit from '../stores/audit.ts'
import * as keys from '../stores/keys.ts'
import type { KeyService } from './key-service.ts'
import { announcedAt, type DueStep, purposeOf, rules, type Step, stepsAhead } from './life-cycle.ts'
import { make } from './making.ts'

export type RotationDependencies = {
  config: Config
  db: Db
  envelope: Envelope
  /** Where private keys are kept, if not in the database. */
  keyService: KeyService | undefined
}

/**
 * Takes the first step for a purpose that is due by `now`, if there is one and no other process is at it.
 *
 * Each step is a transaction with its line in the audit, and what comes next is decided from what the database says:
 * a process that dies leaves a step undone or done, and any other goes on from there.
 *
 * @returns the step that was taken, or else when the next one is due, as far as that is known
 */
export function takeStep(
  dependencies: RotationDependencies,
  purpose: string,
  now: Date,
): Promise<{ taken: Step } | { nextAt: Date | undefined }> {
  return dependencies.db.transaction().execute(async (tx) => {
    if (!(await keys.tryLead(tx))) return { nextAt: undefined }
    const { config, keyService } = dependencies
    const [next] = ahead(await keys.list(tx), config).filter(
      ({ step }) => purposeOf(step) === purpose && (step.kind !== 'destroy' || keyService),
    )
    if (!next || next.at > now) return { nextAt: next?.at }
    await take(tx, dependencies, { step: next.step, at: now })
    return { taken: next.step }
  })
}

/** All steps that are known to lie ahead, the first one first. */
export function ahead(all: readonly keys.Key[], config: Config): DueStep[] {
  return [...rules(config)]
    .flatMap(([purpose, rule]) => stepsAhead(all, purpose, rule))
    .sort((a, b) => a.at.getTime() - b.at.getTime())
}

/**
 * Has the next key take over from an active one ahead of time: now if everybody has it, and else as soon as they do.
 * The transaction has to lead.
 */
export async function advance(
  tx: Tx,
  dependencies: RotationDependencies,
  active: keys.Key,
): Promise<{ id: string; purpose: string; takesOverAt: Date; isDone: boolean }> {
  const { purpose } = active
  const now = new Date()
  const rotation = rules(dependencies.config).get(purpose)?.rotation
  const find = async () => (await keys.list(tx)).find((key) => key.purpose === purpose && keys.isNext(key))
  if (!(await find())) {
    await keys.add(tx, dependencies.envelope, await make(purpose, dependencies.keyService), {
      state: 'pending',
      at: now,
    })
  }
  const next = await find()
  if (!next || !rotation) throw new Error(`The ${purpose} does not rotate.`)
  const takesOverAt = announcedAt(next, rotation)
  if (takesOverAt > now) {
    await keys.requestRotation(tx, active.id, now)
    return { id: next.id, purpose, takesOverAt, isDone: false }
  }
  await succeed(tx, { purpose, id: next.id, at: now })
  return { id: next.id, purpose, takesOverAt: now, isDone: true }
}

/** Makes the first key for each purpose that has none, in whichever process comes first. */
export async function makeMissing(dependencies: RotationDependencies, now: Date): Promise<void> {
  const isMissing = (all: readonly keys.Key[], purpose: string) =>
    !all.some((key) => key.purpose === purpose && key.state === 'active')
  const purposes = [...rules(dependencies.config).keys()]
  const known = await keys.list(dependencies.db)
  if (!purposes.some((purpose) => isMissing(known, purpose))) return
  await dependencies.db.transaction().execute(async (tx) => {
    await keys.lead(tx)
    const all = await keys.list(tx)
    for (const purpose of purposes.filter((one) => isMissing(all, one))) {
      await create(tx, dependencies, { purpose, state: 'active', at: now })
    }
  })
}

async function take(tx: Tx, dependencies: RotationDependencies, { step, at }: DueStep): Promise<void> {
  if (step.kind === 'create') {
    const hasActive = (await keys.list(tx)).some((key) => key.purpose === step.purpose && key.state === 'active')
    await create(tx, dependencies, { purpose: step.purpose, state: hasActive ? 'pending' : 'active', at })
    return
  }
  const { id, purpose } = step.key
  if (step.kind === 'publish') await keys.publish(tx, id, at)
  if (step.kind === 'activate') await succeed(tx, { purpose, id, at })
  if (step.kind === 'remove') await keys.remove(tx, id, { at })
  if (step.kind === 'destroy') {
    await dependencies.keyService?.destroy(step.key.serviceReference ?? '')
    await keys.setDestroyed(tx, id)
  }
  const type = `key.${pastTenses[step.kind]}`
  await audit.append(tx, [{ type, actor: 'system', details: { kid: id, purpose } }])
}

async function create(
  tx: Tx,
  { envelope, keyService }: RotationDependencies,
  { purpose, state, at }: { purpose: string; state: 'pending' | 'active'; at: Date },
): Promise<void> {
  const key = await make(purpose, keyService)
  await keys.add(tx, envelope, key, { state, at })
  await audit.append(tx, [{ type: 'key.created', actor: 'system', details: { kid: key.id, purpose, state } }])
}

const pastTenses = { publish: 'published', activate: 'activated', remove: 'removed', destroy: 'destroyed' } as const

/** Has a key take over from the one that is used for its purpose now, in one go: there is always exactly one. */
export async function succeed(tx: Tx, { purpose, id, at }: { purpose: string; id: string; at: Date }): Promise<void> {
  const active = (await keys.list(tx)).find((key) => key.purpose === purpose && key.state === 'active')
  if (active) await keys.retire(tx, active.id, at)
  await keys.activate(tx, id, at)
}
