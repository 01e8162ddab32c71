import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'
import { type Answer, send } from '../support/wire.ts'
import { type DatabaseProxy, startProxy } from './proxy.ts'

const email = 'ada@example.com'
let database: TestDatabase
let proxy: DatabaseProxy
let postern: TestPostern
let machine: ClientMetadata

beforeAll(async () => {
  proxy = await startProxy(inject('postgresUrl'))
  database = await createDatabase()
  postern = await startPostern(settings())
  await postern.createAccount(email)
  machine = await postern.createClient({
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })
})
afterAll(async () => {
  await postern?.stop()
  await proxy?.close()
  await database?.drop()
})

const settings = () => ({
  DATABASE_URL: proxy.urlOf(database.url),
  ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
})

type Tokens = { client: ClientMetadata; access: string; refresh: string }

async function signedIn(): Promise<Tokens> {
  const client = await postern.createClient()
  const { tokens } = await login(postern, client, { email, scope: 'openid offline_access' })
  return { client, access: tokens.access_token, refresh: String(tokens.refresh_token) }
}

const credentials = () => send(postern, '/oauth/token', { client: machine, form: { grant_type: 'client_credentials' } })

const introspect = ({ client, access }: Tokens) =>
  send(postern, '/oauth/introspect', { client, form: { token: access } })

const userinfo = ({ access }: Tokens) => send(postern, '/oauth/userinfo', { bearer: access })

/** Refreshes, and keeps the new token if there is one. */
async function refresh(tokens: Tokens): Promise<Answer> {
  const { client, refresh } = tokens
  const form = { grant_type: 'refresh_token', refresh_token: refresh }
  const answer = await send(postern, '/oauth/token', { client, form })
  if (answer.status === 200) {
    tokens.refresh = String(answer.json['refresh_token'])
    tokens.access = String(answer.json['access_token'])
  }
  return answer
}

const ready = async () => (await send(postern, '/health/ready')).status

function forgetClients({ client }: Tokens): void {
  for (const { client_id } of [client, machine]) postern.server.postern.clients.forget(client_id)
}

/** Asserts that an answer is correct or a failure of the server, as it must be while the database comes and goes. */
function expectHonest(answer: Answer): void {
  if (answer.status < 500) expect([answer.status, answer.json['error']]).toEqual([200, undefined])
  else expect(answer.json['error']).toMatch(/^(temporarily_unavailable|server_error)$/)
  if (answer.status === 200 && 'active' in answer.json) expect(answer.json['active']).toBe(true)
}

async function expectAway(tokens: Tokens): Promise<void> {
  for (const ask of [credentials, () => introspect(tokens), () => userinfo(tokens), () => refresh(tokens)]) {
    forgetClients(tokens)
    const answer = await ask()
    expectHonest(answer)
    expect(answer.status).toBe(503)
    expect(answer.text).not.toContain('invalid_')
  }
  expect(await ready()).toBe(503)
  expect((await send(postern, '/health/live')).status).toBe(200)
}

/** Repeats a request until it succeeds: a server recovers by itself, however long its connections take. */
async function eventually(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await ask()
    expectHonest(answer)
    if (answer.status === 200) return answer
    await sleep(50)
  }
}

async function expectRecovered(tokens: Tokens): Promise<void> {
  await eventually(credentials)
  await eventually(() => refresh(tokens))
  expect((await eventually(() => introspect(tokens))).json).toMatchObject({ active: true })
  await eventually(() => userinfo(tokens))
  while ((await ready()) !== 200) await sleep(50)
}

const terminate = (which = 'true') =>
  database.query(
    `select count(pg_terminate_backend(pid))::int as ended from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and application_name = 'postern' and ${which}`,
  )

/** Starts a transaction of another program that holds locks until it ends. */
async function holding(statement: string): Promise<{ release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query('begin')
  await client.query(statement)
  return {
    async release() {
      await client.query('rollback')
      await client.end()
    },
  }
}

async function untilWaitingForLocks(count: number): Promise<void> {
  const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  while ((await database.query(waiting)).length < count) await sleep(20)
}

describe('a connection that PostgreSQL ends', () => {
  test('is replaced if it was idle, and the server recovers by itself', async () => {
    const tokens = await signedIn()
    expect((await terminate())[0]?.['ended']).toBeGreaterThan(0)
    await expectRecovered(tokens)
  })

  test('leaves the token valid or exchanged if it was writing a refresh', async () => {
    const tokens = await signedIn()
    const lock = await holding('select from grants for update')
    const answering = refresh(tokens)
    await untilWaitingForLocks(1)
    expect((await terminate(`wait_event_type = 'Lock'`))[0]?.['ended']).toBe(1)
    await lock.release()
    expectHonest(await answering)
    await expectRecovered(tokens)
  })

  test('fails requests only with 5xx, even repeatedly under load, and needs no restart afterwards', async () => {
    const everyone = await Promise.all([signedIn(), signedIn(), signedIn(), signedIn()])
    const answers: Answer[] = []
    let isOver = false
    const load = everyone.map(async (tokens) => {
      while (!isOver) {
        for (const ask of [credentials, () => introspect(tokens), () => refresh(tokens)]) {
          const answer = await ask()
          answers.push(answer)
          expectHonest(answer)
        }
      }
    })
    const storm = async () => {
      for (let round = 0; round < 20; round++) {
        await terminate(round % 2 === 0 ? 'true' : `state = 'active'`)
        const answered = answers.length
        while (answers.length < answered + 12) await sleep(5)
      }
      isOver = true
    }
    await Promise.all([storm().finally(() => (isOver = true)), ...load])
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
    for (const tokens of everyone) await expectRecovered(tokens)
  })
})

describe('a database that is unavailable', () => {
  test('makes requests and readiness answer 503, and both recover by themselves', async () => {
    const tokens = await signedIn()
    proxy.refuse()
    await expectAway(tokens)
    proxy.accept()
    await expectRecovered(tokens)
  })

  test('makes no request report an invalid token or client under load', async () => {
    const tokens = await signedIn()
    proxy.refuse()
    forgetClients(tokens)
    const asked = Array.from({ length: 30 }, () => [credentials(), introspect(tokens), userinfo(tokens)]).flat()
    for (const answer of await Promise.all(asked)) {
      expectHonest(answer)
      expect(answer.status).toBe(503)
    }
    proxy.accept()
    await expectRecovered(tokens)
  })

  test('causes 503 and no readiness if it is read-only (a standby after a failover), until it is the primary', async () => {
    const tokens = await signedIn()
    const { pathname } = new URL(database.url)
    const alter = (what: string) =>
      database.query(`begin read write; alter database ${pathname.slice(1)} ${what}; commit`)
    await alter('set default_transaction_read_only = on')
    await terminate()
    await expectAway(tokens)
    await alter('reset default_transaction_read_only')
    await expectRecovered(tokens)
  })
})

describe('a pool whose connections all wait for a lock', () => {
  test('answers 503, reports no token as invalid, and serves again after the lock is released', async () => {
    const { ENCRYPTION_KEYS } = postern.env
    await postern.stop() // all servers of a database share one issuer, and the next server has its own
    postern = await startPostern({ ...settings(), ENCRYPTION_KEYS: String(ENCRYPTION_KEYS), DATABASE_POOL_SIZE: '2' })
    const [one, other, third] = [await signedIn(), await signedIn(), await signedIn()]
    const lock = await holding('select from grants for update')
    const first = refresh(one)
    await untilWaitingForLocks(1)
    const second = refresh(other)
    await untilWaitingForLocks(2)
    const asked = Array.from({ length: 10 }, () => introspect(third))
    for (const answer of await Promise.all([first, second])) {
      expectHonest(answer)
      expect(answer.status).toBe(503)
    }
    for (const answer of await Promise.all(asked)) expectHonest(answer)
    await lock.release()
    for (const tokens of [one, other, third]) await expectRecovered(tokens)
  })
})
