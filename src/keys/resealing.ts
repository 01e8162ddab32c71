import { setTimeout as sleep } from 'node:timers/promises'
import type { Envelope } from '../crypto/envelope.ts'
import type { Db } from '../database/schema.ts'
import * as encryptionKeys from '../stores/keys/encryption-keys.ts'
import { countAllByKey, listStale, type Place, places, replace, type StaleValue } from '../stores/keys/sealed-values.ts'
import * as audit from '../stores/operations/audit.ts'

export type Resealing = {
  /** The key that now seals everything, except as the other fields say. */
  keyId: string
  /** The number of resealed values, by place. */
  resealed: Partial<Record<Place, number>>
  /** A sentence for each value that could not be opened. These values stay as they were. */
  unreadable: readonly string[]
  /** Whether other processes kept sealing values with another key until the last pass. */
  isOutpaced: boolean
  /** The keys that no longer seal any value. */
  retired: readonly string[]
  /** The other keys that some process still seals with. */
  usedElsewhere: readonly string[]
}

const batchSize = 500 // a statement of some tens of milliseconds, which a request might have to wait for
const mostPasses = 20

const unhurried = {
  /** The pause between passes, so that others can release their locks. */
  pauseMs: 250,
  /** Long enough for every process to note its sealing key again, as it does every two seconds. */
  answerMs: 3_000,
}

/**
 * Reseals every value with the first key, while any number of processes read and write. It can be interrupted at any
 * moment, and run again or twice at the same time. Then it removes the keys that seal no value, and appends an audit
 * event.
 */
export async function reseal(
  { db, envelope }: { db: Db; envelope: Envelope },
  { actor }: { actor: string },
  { pauseMs, answerMs }: typeof unhurried = unhurried,
): Promise<Resealing> {
  const resealed: Resealing['resealed'] = {}
  let others: string[] = []
  let unreadable: string[] = []
  let isOutpaced = true
  for (let pass = 0; isOutpaced && pass < mostPasses; pass++) {
    if (pass > 1) await sleep(pauseMs)
    // Read before the pass that finds nothing, because a key noted later may be in use.
    const known = await encryptionKeys.list(db)
    others = known.map(({ id }) => id).filter((id) => id !== envelope.sealingKeyId)
    unreadable = []
    isOutpaced = false
    for (const place of places) {
      const outcome = await resealPlace(db, envelope, place)
      if (outcome.resealed > 0) resealed[place] = (resealed[place] ?? 0) + outcome.resealed
      if (outcome.found > 0) isOutpaced = true
      unreadable.push(...outcome.unreadable)
    }
  }
  const retired = isOutpaced || unreadable.length > 0 ? [] : others
  const keyId = envelope.sealingKeyId
  await db.transaction().execute(async (tx) => {
    await encryptionKeys.remove(tx, retired)
    await audit.append(tx, [
      {
        type: 'secrets.rotated',
        actor,
        details: { key_id: keyId, resealed, unreadable: unreadable.length, retired_key_ids: retired },
      },
    ])
  })
  if (retired.length > 0) {
    await sleep(answerMs)
    await noteAgain(db, envelope)
  }
  const usedElsewhere = (await encryptionKeys.list(db)).map(({ id }) => id).filter((id) => id !== keyId)
  return { keyId, resealed, unreadable, isOutpaced, retired, usedElsewhere }
}

/**
 * Notes the keys of values that were sealed in the last moment, by a process that ended before it could note its key
 * again.
 */
async function noteAgain(db: Db, { sealingKeyId }: Envelope): Promise<void> {
  const used = [...(await countAllByKey(db)).keys()]
  const others = used.filter((id) => id !== undefined).filter((id) => id !== sealingKeyId)
  if (others.length > 0) await encryptionKeys.add(db, others)
}

/** Reseals the values of a place once. `found` counts the values that may have changed in the meantime. */
async function resealPlace(
  db: Db,
  envelope: Envelope,
  place: Place,
): Promise<{ found: number; resealed: number; unreadable: string[] }> {
  const outcome = { found: 0, resealed: 0, unreadable: [] as string[] }
  let after: StaleValue['key'] | undefined
  do {
    const { values, last } = await listStale(db, place, { keyId: envelope.sealingKeyId, after, limit: batchSize })
    const renewed = values.flatMap((value) => {
      try {
        return { ...value, renewed: envelope.seal(envelope.open(value.sealed, value.identity), value.identity) }
      } catch (error) {
        outcome.unreadable.push((error as Error).message)
        return []
      }
    })
    outcome.found += renewed.length
    outcome.resealed += await replace(db, place, renewed)
    after = last
  } while (after)
  return outcome
}
