import { afterAll, beforeAll, describe, test } from 'vitest'
import { type Deployment, deploy } from './deployment.ts'
import { nothingAtAll, type Operation, operations } from './operations.ts'
import { places } from './places.ts'
import { play, playControl, type Row, rounds } from './play.ts'
import { createTable } from './table.ts'

const timeout = 120_000 * rounds // for many at once on a machine with other things to do

const table = createTable(places)
let deployment: Deployment

beforeAll(async () => {
  deployment = await deploy({ apis: 2 * (operations.length + 2) * (places.length + 1) })
})
afterAll(async () => {
  const { STILL_TRUE_TABLE: path } = process.env
  if (path) table.write(path)
  await deployment?.stop()
})

const rowOf = (operation: Operation, processes: 1 | 2): Row => ({
  ...{ operation, processes },
  lane: operations.indexOf(operation) % 2 === 0 ? 0 : 1,
})

describe.each([
  { at: 'userinfo', isAboutApi: false },
  { at: 'the API', isAboutApi: true },
])('where nothing ends it, and its code is redeemed for $at', ({ at, isAboutApi }) => {
  for (const place of places) {
    test.concurrent(`${place.name} is worth something`, { timeout }, async ({ expect }) => {
      const remains = await play(deployment, rowOf({ ...nothingAtAll, isAboutApi }, 2), place)
      const entry = expect.stringMatching(at === 'userinfo' ? /userinfo openid email$/ : /the API read write$/)
      expect(remains).toEqual(expect.arrayContaining([entry]))
    })
  }
})

describe.each([1, 2] as const)('with %i server processes', (processes) => {
  for (const operation of operations) {
    const row = rowOf(operation, processes)
    for (const place of places.filter((one) => operation.sparing(one) === undefined)) {
      test.concurrent(`${place.name} ${operation.verdict}`, { timeout }, async ({ expect }) => {
        for (let round = 0; round < rounds; round++) {
          const remains = await play(deployment, row, place, round).catch((error: Error) => error)
          table.add({ row, place, remains })
          expect.soft(remains).toEqual([])
        }
      })
    }
    test.concurrent(`what else there is goes on where a flow ${operation.verdict}`, { timeout }, async () => {
      await playControl(deployment, row)
    })
  }
})
