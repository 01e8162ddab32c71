import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { send } from '../support/wire.ts'
import { type DatabaseProxy, startProxy } from './proxy.ts'

let proxy: DatabaseProxy
let postern: TestPostern

beforeAll(async () => {
  proxy = await startProxy(inject('postgresUrl'))
  postern = await startPostern({}, { databaseUrl: proxy.urlOf })
})
afterAll(async () => {
  await proxy?.close()
  await postern?.stop()
})

const cacheControl = async () => (await send(postern, '/oauth/jwks')).headers.get('cache-control')
const isReady = async () => (await send(postern, '/health/ready')).status === 200
const within = { timeout: 120_000, interval: 100 }

test('a process resumes checking its keys when a check on a silently lost connection times out, not when the connection is found dead', async () => {
  await proxy.cut({ match: (statement) => statement.includes('from "keys"'), when: 'silent' })
  await vi.waitFor(async () => expect([await cacheControl(), await isReady()]).toEqual(['no-store', false]), within)
  await vi.waitFor(
    async () => expect([await cacheControl(), await isReady()]).toEqual(['public, max-age=3600', true]),
    within,
  )
})
