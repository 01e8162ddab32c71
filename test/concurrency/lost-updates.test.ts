import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as accounts from '../../src/stores/people/accounts.ts'
import * as grants from '../../src/stores/protocol/grants.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { type Fleet, startFleet } from '../support/processes.ts'

const rounds = 10
const inAnHour = () => Math.floor(Date.now() / 1000) + 3_600

let postern: TestPostern
let fleet: Fleet

beforeAll(async () => {
  postern = await startPostern()
  fleet = await startFleet()
})
afterAll(async () => {
  await postern?.stop()
  await fleet?.stop()
})

const db = () => postern.server.postern.database.db

describe('when changes happen at the same moment', () => {
  test("the removal of an API's scope holds, whatever else is changed", async () => {
    const identifier = 'https://api.example/lost'
    await fleet.operate('resource create', { identifier, scopes: { read: 'Read', write: 'Write' } })
    for (let round = 0; round < rounds; round++) {
      await fleet.operate('resource update', { identifier, scopes: { read: 'Read', write: 'Write' } })
      await Promise.all([
        fleet.operate('resource update', { identifier, scopes: { read: 'Read' } }),
        operate(postern, 'resource list', {}),
        ...[1, 2, 3].map((n) => fleet.operate('resource update', { identifier, name: `Round ${round}, ${n}` })),
      ])
      expect(await fleet.operate('resource show', { identifier })).toMatchObject({ scopes: { read: 'Read' } })
      expect((await fleet.operate('resource show', { identifier }))['scopes']).not.toHaveProperty('write')
    }
  })

  test('only one of two creations of the same API succeeds', async () => {
    for (let round = 0; round < rounds; round++) {
      const identifier = `https://api.example/twice/${round}`
      const outcomes = await Promise.allSettled(
        [1, 2].map((n) => operate(postern, 'resource create', { identifier, name: `${n}`, scopes: { read: 'Read' } })),
      )
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    }
  })

  test('the narrowing of a consent holds when a request that read it earlier extends it', async () => {
    const account = await postern.createAccount(`${randomUUID()}@example.com`)
    const { client_id: clientId } = await postern.createClient()
    const pair = { accountId: account.id, clientId }
    const granting = (scope: string) => () => ({
      payload: { openid: { scope }, exp: inAnHour() },
      shown: {},
      expiresAtSeconds: inAnHour(),
    })
    const change = (scope: string) =>
      db()
        .transaction()
        .execute((tx) => grants.change(tx, pair, granting(scope)))
    const id = await change('openid email')
    for (let round = 0; round < rounds; round++) {
      await change('openid email')
      const later = inAnHour() + 60 + round
      await Promise.all([change('openid'), ...[0, 1, 2].map(() => grants.extend(db(), id, later))])
      expect((await grants.findById(db(), id))?.payload).toMatchObject({ openid: { scope: 'openid' } })
      await grants.extend(db(), id, later)
      expect(await grants.findById(db(), id)).toMatchObject({ payload: { exp: later }, expiresAtSeconds: later })
    }
  })

  test('a new password holds when the hash of the old one is renewed', async () => {
    const { id } = await postern.createAccount(`${randomUUID()}@example.com`)
    const put = (hash: string) =>
      db()
        .transaction()
        .execute((tx) => accounts.setPasswordHash(tx, id, hash))
    const stored = async () =>
      (await postern.database.query('select hash from password_credentials where account_id = $1', [id]))[0]?.['hash']
    for (let round = 0; round < rounds; round++) {
      await put('old')
      await Promise.all([put('set meanwhile'), accounts.renewPasswordHash(db(), id, { from: 'old', to: 'renewed' })])
      expect(await stored()).toBe('set meanwhile')
    }
    await put('old')
    expect(await accounts.renewPasswordHash(db(), id, { from: 'old', to: 'renewed' })).toBe(true)
    expect(await accounts.renewPasswordHash(db(), id, { from: 'old', to: 'late' })).toBe(false)
    expect(await stored()).toBe('renewed')
  })
})
