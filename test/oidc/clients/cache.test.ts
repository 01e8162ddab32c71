import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { assemble, type Postern } from '../../../src/assemble/index.ts'
import { parse } from '../../../src/config/index.ts'
import { createLogger } from '../../../src/log/index.ts'
import * as clients from '../../../src/stores/clients/clients.ts'
import { eventually } from '../../support/eventually.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { authorize, login } from '../../support/relying-party.ts'
import { createVisitor } from '../../support/visitor.ts'
import { redeem, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const scope = 'openid offline_access'
const stalenessMs = 5_000 // the documented bound
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }

let postern: TestPostern
let other: Postern // stands for another process of the deployment, though it runs within the test

beforeAll(async () => {
  postern = await startPostern()
  other = await assemble(parse({ ...postern.env, PORT: '0' }), { log: createLogger('silent') })
  await postern.createAccount(email)
})
afterEach(() => vi.useRealTimers())
afterAll(async () => {
  await other?.close()
  await postern?.stop()
})

const elsewhere = (
  work: (
    db: Parameters<Parameters<ReturnType<Postern['database']['db']['transaction']>['execute']>[0]>[0],
  ) => Promise<unknown>,
) => other.database.db.transaction().execute(work)

/** Tells whether this process knows the client and its secret. Tokens do not show it: the database decides on them. */
const works = async (client: clients.ClientMetadata) =>
  (await send(postern, '/oauth/introspect', { client, form: { token: 'none' } })).status === 200

describe('a client that is changed by another process', () => {
  test('is disabled here, and enabled again', async () => {
    const client = await postern.createClient(machine)
    expect(await works(client)).toBe(true)
    await elsewhere((tx) => clients.setDisabled(tx, client.client_id, true))
    await eventually(async () => expect(await works(client)).toBe(false))
    await elsewhere((tx) => clients.setDisabled(tx, client.client_id, false))
    await eventually(async () => expect(await works(client)).toBe(true))
  })

  test('has its new secret here, and the old one is rejected', async () => {
    const client = await postern.createClient(machine)
    expect(await works(client)).toBe(true)
    const changed = { ...client, client_secret: 'a-new-secret-of-some-length-0123456789' }
    await elsewhere((tx) =>
      clients.save(tx, other.storage.envelope, changed, { isDynamic: false, policy: 'administrator' }),
    )
    await eventually(async () => expect([await works(client), await works(changed)]).toEqual([false, true]))
  })

  test('is changed here even if no notification of the change arrives', async () => {
    const client = await postern.createClient(machine)
    expect(await works(client)).toBe(true)
    await postern.database.query('update clients set disabled_at = now(), updated_at = now() where id = $1', [
      client.client_id,
    ])
    await eventually(async () => expect(await works(client)).toBe(false))
  })

  test('is changed here even if the connection for notifications was lost, and later changes arrive too', async () => {
    const client = await postern.createClient(machine)
    expect(await works(client)).toBe(true)
    for (const isDisabled of [true, false, true]) {
      await postern.database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen%'`,
      )
      await elsewhere((tx) => clients.setDisabled(tx, client.client_id, isDisabled))
      await eventually(async () => expect(await works(client)).toBe(!isDisabled))
    }
  })

  test('is read again when notifications have been missing for too long', async () => {
    const client = await postern.createClient(machine)
    const { clients: cache } = postern.server.postern
    expect(await cache.find(client.client_id)).toBeDefined()
    await postern.database.query(
      `update clients set disabled_at = now(), updated_at = updated_at - interval '1 day' where id = $1`,
      [client.client_id],
    )
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + stalenessMs + 1 })
    const found = cache.find(client.client_id)
    vi.useRealTimers()
    expect(await found).toBeUndefined()
  })

  test('is read once for each change, however often the process checks for recent changes', async () => {
    const client = await postern.createClient(machine)
    const reads = () => postern.statements.filter((sql) => sql.includes('"secret_sealed"')).length
    const checks = () => postern.statementsOfServer.filter((sql) => sql.includes('"updated_at" >=')).length
    // The notification of its creation may arrive after the first read. The client is then rightly read once more.
    await vi.waitFor(
      async () => {
        expect(await works(client)).toBe(true)
        postern.statements.splice(0)
        postern.statementsOfServer.splice(0)
        await vi.waitFor(() => expect(checks()).toBeGreaterThanOrEqual(2), { timeout: 120_000, interval: 50 })
        expect(await works(client)).toBe(true)
        expect(reads()).toBe(0)
      },
      { timeout: 120_000, interval: 50 }, // its creation counts as recent for a minute
    )
  })

  test('is not cached in its old state if it changes while it is read', async () => {
    const { client_id } = await postern.createClient(machine)
    const { clients: cache } = postern.server.postern
    const reading = cache.find(client_id)
    cache.forget(client_id) // as a notification does
    await reading
    postern.statements.splice(0)
    await cache.find(client_id)
    expect(postern.statements.filter((sql) => sql.includes('"secret_sealed"'))).toHaveLength(1)
  })
})

test('three hundred clients, more than the engine caches, are not read repeatedly', async () => {
  const { db } = postern.server.postern.database
  const { envelope } = postern.server.postern.storage
  const sample = await postern.createClient(machine)
  const many = Array.from({ length: 300 }, (_, n) => ({ ...sample, client_id: `many-${n}` }))
  await db.transaction().execute(async (tx) => {
    for (const client of many) await clients.save(tx, envelope, client, { isDynamic: false, policy: 'administrator' })
  })
  const reads = async () => {
    postern.statements.splice(0)
    for (const client of many) expect(await works(client)).toBe(true)
    return postern.statements.filter((sql) => sql.includes('"secret_sealed"')).length
  }
  expect(await reads()).toBeGreaterThanOrEqual(many.length)
  // Notifications of their creation may arrive late. Each client is then rightly read once more.
  await vi.waitFor(async () => expect(await reads()).toBe(0), { timeout: 120_000, interval: 50 })
})

describe('RFC 7592 §2.3: a client that was deleted', () => {
  test('loses its codes, tokens and grants, and its ID is never issued again', async () => {
    const bystander = await postern.createClient()
    const client = await postern.createClient()
    const visitor = createVisitor(postern.issuer)
    const { tokens } = await login(postern, client, { email, scope, visitor })
    const begun = await authorize(postern, client, { email, visitor })
    const kept = await login(postern, bystander, { email, scope, visitor })
    await operate(postern, 'client delete', { client_id: client.client_id })

    for (const token of [tokens.access_token, String(tokens.refresh_token)]) {
      for (const asking of [bystander, client]) {
        const { status, json } = await send(postern, '/oauth/introspect', { client: asking, form: { token } })
        expect([status, json]).toEqual(asking === bystander ? [200, { active: false }] : [401, expect.anything()])
      }
    }
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
    expect((await redeem(postern, begun, { client })).status).toBe(401)
    for (const table of ['artifacts', 'grants']) {
      expect(await postern.database.query(`select 1 from ${table} where client_id = $1`, [client.client_id])).toEqual(
        [],
      )
    }
    await expect(postern.createClient({ client_id: client.client_id })).rejects.toThrow('was deleted')

    const { json } = await send(postern, '/oauth/introspect', {
      client: bystander,
      form: { token: kept.tokens.access_token },
    })
    expect(json['active']).toBe(true)
    expect(
      (await redeem(postern, await authorize(postern, bystander, { email, visitor }), { client: bystander })).status,
    ).toBe(200)
  })

  test('or disabled can neither be read or changed with its registration access token nor enable itself', async () => {
    for (const command of ['client disable', 'client delete']) {
      const { initial_access_token } = (await operate(postern, 'registration-token create', {})) as Record<
        string,
        string
      >
      const registered = await send(postern, '/oauth/register', {
        bearer: String(initial_access_token),
        body: { client_name: 'App', redirect_uris: ['https://rp.example/cb'] },
      })
      expect(registered.status).toBe(201)
      const { client_id, registration_access_token, ...metadata } = registered.json
      await operate(postern, command, { client_id: String(client_id) })
      const path = `/oauth/register/${client_id}`
      const bearer = String(registration_access_token)
      const body = { client_id, redirect_uris: metadata['redirect_uris'], client_secret: metadata['client_secret'] }
      expect((await send(postern, path, { bearer })).status).toBe(401)
      expect((await send(postern, path, { method: 'PUT', bearer, body })).status).toBe(401)
      expect((await send(postern, path, { method: 'DELETE', bearer })).status).toBe(401)
      const query = new URLSearchParams({
        client_id: String(client_id),
        response_type: 'code',
        redirect_uri: 'https://rp.example/cb',
      })
      const { status, headers } = await send(postern, `/oauth/authorize?${query}`)
      expect([status, headers.get('location')]).toEqual([400, null])
    }
  })
})
