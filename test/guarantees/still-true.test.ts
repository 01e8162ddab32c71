import { afterAll, beforeAll, describe, test } from 'vitest'
import { type Deployment, deploy } from './deployment.ts'
import { harmlessChange, nothingAtAll, type Operation, operations } from './operations.ts'
import { places } from './places.ts'
import { play, playControl, type Row, rounds } from './play.ts'
import { createTable } from './table.ts'

const timeout = 120_000 * rounds // many run at once, on a machine that is busy with other work

const table = createTable(places)
let deployment: Deployment

beforeAll(async () => {
  deployment = await deploy({ apis: 2 * (operations.length + 3) * (places.length + 2) * rounds })
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
  { after: 'nothing happens', at: 'userinfo', operation: nothingAtAll },
  { after: 'nothing happens', at: 'the API', operation: { ...nothingAtAll, isAboutApi: true } },
  { after: 'an unrelated field of the client changes', at: 'userinfo', operation: harmlessChange },
])('where $after and the code is redeemed for $at', ({ at, operation }) => {
  for (const place of places) {
    test.concurrent(`${place.name} yields a token that works`, { timeout }, async ({ expect }) => {
      const remains = await play(deployment, rowOf(operation, 2), place)
      const entry = expect.stringMatching(at === 'userinfo' ? /userinfo openid email$/ : /the API read write$/)
      expect(remains).toEqual(expect.arrayContaining([entry]))
    })
  }
})

test('a cell with nothing to end states why, and no other cells than these have nothing to end', ({ expect }) => {
  const spared = operations.flatMap((operation) =>
    places.flatMap((place) => {
      const reason = operation.sparing(place)
      return reason === undefined ? [] : [reason]
    }),
  )
  const counted = [...new Set(spared)].map((reason) => [reason, spared.filter((one) => one === reason).length])
  expect(Object.fromEntries(counted)).toEqual({
    'a device has no redirect URI': 5,
    'it is a sign-in of its own, in another browser': 9,
    'its tokens are still those of the client': 1,
    'offline access outlives the session (OpenID Connect Core §11)': 1,
    'the person was asked': 4,
    'what it asks for is issued to the public client': 18,
    'what was issued to the client before was issued to it': 2,
  })
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
    test.concurrent(`everything unrelated keeps working where a flow ${operation.verdict}`, { timeout }, async () => {
      await playControl(deployment, row)
    })
  }
})
