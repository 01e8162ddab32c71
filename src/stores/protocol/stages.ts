import { isConnectionFailure, isContention, isForeignKeyViolation } from '../../database/connect.ts'
import type { Db, Tx } from '../../database/schema.ts'
import { type Outcome, run, type Stage } from './stage-statement.ts'

export type { Basis, Outcome, Redemption, SessionChange, SessionOrigin, Stage } from './stage-statement.ts'

/**
 * Applies stages, several in one statement, and returns the outcome or failure of each.
 *
 * If the statement fails as a whole, the stages are applied one by one, so that one request never fails another. If the
 * connection breaks, the statement may have taken effect or not: only if the new rows are missing, the stage is applied
 * once more. A stage fails when the database is away.
 */
export async function apply(db: Db, stages: Stage[]): Promise<PromiseSettledResult<Outcome>[]> {
  const settled: PromiseSettledResult<Outcome>[] = []
  for (const together of statements(stages)) {
    const results = await applyTogether(
      db,
      together.map(({ stage }) => stage),
    )
    together.forEach(({ index }, n) => {
      settled[index] = getResult(results, n)
    })
  }
  return settled
}

/** Applies one stage as part of a transaction. Throws if it fails, which rolls the transaction back. */
export async function applyIn(tx: Tx, stage: Stage): Promise<Outcome> {
  return runAlone(tx, stage)
}

/**
 * Divides stages into statements. A statement changes a row at most once, so stages that write the same session, as two
 * tabs of a browser do, go into different statements, and each builds on the one before.
 */
function statements(stages: Stage[]): { index: number; stage: Stage }[][] {
  const groups: { index: number; stage: Stage }[][] = []
  const free = new Map<string, number>() // by session, the first group without it
  stages.forEach((stage, index) => {
    const uids = [stage.session?.uid, stage.endedSession?.uid].filter((uid) => uid !== undefined)
    const group = Math.max(0, ...uids.map((uid) => free.get(uid) ?? 0))
    for (const uid of uids) free.set(uid, group + 1)
    groups[group] = [...(groups[group] ?? []), { index, stage }]
  })
  return groups
}

async function applyTogether(db: Db, stages: Stage[]): Promise<PromiseSettledResult<Outcome>[]> {
  try {
    return (await run(db, stages)).map((value) => ({ status: 'fulfilled', value }))
  } catch (error) {
    return Promise.allSettled(stages.map((stage) => applyAlone(db, stage, error)))
  }
}

/** Applies a stage alone after the shared statement failed. */
async function applyAlone(db: Db, stage: Stage, cause: unknown): Promise<Outcome> {
  let failure = cause
  if (!isConnectionFailure(failure)) {
    try {
      return await runAlone(db, stage)
    } catch (error) {
      failure = error
    }
  }
  if (isForeignKeyViolation(failure)) return stage.basis ? 'moved' : 'lost' // the grant, account or client was deleted
  if (isContention(failure)) return runAlone(db, stage)
  if (!isConnectionFailure(failure)) throw failure
  if (await isApplied(db, stage)) return 'applied'
  const outcome = await runAlone(db, stage)
  // The statement on the broken connection may still have been running, and have won against this one.
  return outcome === 'lost' && (await isApplied(db, stage)) ? 'applied' : outcome
}

async function runAlone(db: Db, stage: Stage): Promise<Outcome> {
  return getResult(await run(db, [stage]), 0)
}

function getResult<Result>(results: readonly Result[], n: number): Result {
  const result = results[n]
  if (result === undefined) throw new Error(`The statement returned no result for its stage ${n}.`)
  return result
}

async function isApplied(db: Db, { inserts }: Stage): Promise<boolean> {
  const [first] = inserts
  if (!first) return false
  const row = await db
    .selectFrom('artifacts')
    .select('model')
    .where('id_hash', '=', first.idHash)
    .where('model', '=', first.model)
    .executeTakeFirst()
  return row !== undefined
}
