import { setTimeout as sleep } from 'node:timers/promises'
import type { Envelope } from '../crypto/envelope.ts'
import type { Db } from '../database/schema.ts'
import * as encryptionKeys from '../stores/keys/encryption-keys.ts'
import { countAllByKey, listStale, type Place, places, replace, type StaleValue } from '../stores/keys/sealed-values.ts'
import * as audit from '../stores/operations/audit.ts'

export type Resealing = {
  /** The key that everything is sealed with now, but for what the rest says. */
  keyId: string
  /** How many values were sealed anew, where there were any. */
  resealed: Partial<Record<Place, number>>
  /** What could not be opened, a sentence each. It was left as it is. */
  unreadable: readonly string[]
  /** Whether values went on being sealed with another key for as long as this was at it. */
  isOutpaced: boolean
  /** The keys that nothing is sealed with any more. */
  retired: readonly string[]
  /** The keys other than this one that some process seals with. */
  usedElsewhere: readonly string[]
}

const batchSize = 500 // a statement of some tens of milliseconds, for which a request might have to wait
const mostPasses = 20

const unhurried = {
  /** Between passes, for what somebody else was at to be let go of. */
  pauseMs: 250,
  /** In this time every process has noted again which key it seals with, as it does every two seconds. */
  answerMs: 3_000,
}

/**
 * Seals everything with the first key that is sealed with another, while any number of processes read and write. It
 * can be ended at any moment, and run again or twice at once. What nothing is sealed with is then struck out, with a
 * line in the audit.
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
    const known = await encryptionKeys.list(db) // before the pass that finds nothing: one that is new then may be in use
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
 * Notes the keys of what was sealed in the last moment, by a process that was about to end and will not say any more which
 * key it uses.
 */
async function noteAgain(db: Db, { sealingKeyId }: Envelope): Promise<void> {
  const used = [...(await countAllByKey(db)).keys()]
  const others = used.filter((id) => id !== undefined).filter((id) => id !== sealingKeyId)
  if (others.length > 0) await encryptionKeys.add(db, others)
}

/** Goes through a place once. `found` is how many values another pass might find otherwise. */
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
