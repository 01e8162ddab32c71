import { setTimeout as sleep } from 'node:timers/promises'
import { overlap } from '../concurrency/race.ts'
import type { Deployment } from './deployment.ts'
import { refreshes } from './goes-on.ts'
import type { Operation } from './operations.ts'
import type { Parked, Place } from './places.ts'
import { findRemains, nameOf } from './remains.ts'
import { createWorld, type Loot, type World, type WorldOptions } from './world.ts'

/** A row of the matrix: an operation, how many processes take part, and which of the two holds the flows. */
export type Row = { operation: Operation; processes: 1 | 2; lane: 0 | 1 }

/** How often each cell is played. From the second round on, a request in flight is raced instead of held. */
export const rounds = Number(process.env['STILL_TRUE_ROUNDS'] ?? 1)

/** Parks a flow in a place, performs the operation, lets the flow continue, and returns what remains but must not. */
export async function play(deployment: Deployment, row: Row, place: Place, round = 0): Promise<string[]> {
  const { operation } = row
  const world = await createWorld(deployment, optionsOf(row, place))
  const parked = await place.park(world)
  const isRaced = round > 0 && !operation.isOrdered?.(place)
  const loot = await around(world, { ...parked, ...(isRaced && { round }) }, () => operation.perform(world))
  return settle(world, operation, loot, Date.now() + operation.staleForMs)
}

/** Performs the operation with no flow under way, and throws if it ended more than it should. */
export async function playControl(deployment: Deployment, row: Row): Promise<void> {
  const [world, neighbour] = await Promise.all([1, 2].map(() => createWorld(deployment, optionsOf(row))))
  if (!world || !neighbour) return
  await row.operation.goesOn?.(world, await row.operation.perform(world))
  await refreshes(neighbour)
}

/** Performs an operation while a flow is parked, or while the write of its request is on its way to the database. */
async function around(
  world: World,
  { marks, finish, round }: Parked & { round?: number },
  perform: () => Promise<unknown>,
): Promise<Loot> {
  if (marks && round !== undefined) return (await overlap(round, finish, perform))[0]
  if (!marks) {
    await perform()
    return finish()
  }
  const finished = await world.post.holding(marks, async (held) => {
    const loot = finish()
    const tooEarly = loot.then(() => Promise.reject(new Error('the request was answered without a write')))
    await Promise.race([held.reached, tooEarly])
    await perform()
    return { loot }
  })
  return finished.loot
}

/** Looks until nothing remains, or until every process must know of the change. */
async function settle(world: World, operation: Operation, loot: Loot, until: number): Promise<string[]> {
  const isLast = Date.now() >= until
  const found = await findRemains(world, loot)
  const remains = found.remains.filter((remain) => operation.ends(remain)).map(nameOf)
  if (remains.length === 0 || isLast) return [...new Set(remains)].sort()
  await sleep(500)
  return settle(world, operation, found.loot, until)
}

function optionsOf({ operation, ...row }: Row, place?: Place): WorldOptions {
  const isAsked = place?.traits.includes('consent') // a first-party app never asks
  const scope = place && operation.scope?.(place)
  return {
    ...row,
    driver: operation.driver,
    isAboutApi: operation.isAboutApi ?? false,
    ...(operation.client && !isAsked && { client: operation.client }),
    ...(scope !== undefined && { scope }),
  }
}
