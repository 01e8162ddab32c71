import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { type Answer, redeem, send } from '../support/wire.ts'
import { type DatabaseProxy, type Moment, startProxy } from './proxy.ts'

const email = 'ada@example.com'
const api = 'https://api.example'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const moments: Moment[] = ['before', 'during', 'after']
const calls = ['the client', 'the code or token', 'all that the request writes']

let database: TestDatabase
let proxy: DatabaseProxy
let postern: TestPostern

beforeAll(async () => {
  proxy = await startProxy(inject('postgresUrl'))
  database = await createDatabase()
  postern = await startPostern({
    DATABASE_URL: proxy.urlOf(database.url),
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
  })
  proxy.onlyRequestsOf(postern)
  await postern.createAccount(email)
  await postern.createResource({ identifier: api, tokenFormat: 'jwt' })
})
beforeEach(() => database.query('delete from throttles'))
afterAll(async () => {
  await postern?.stop()
  await proxy?.close()
  await database?.drop()
})

/** A value that a client can redeem, and the rows that the database then holds for that client. */
type Case = {
  title: string
  prepare(): Promise<{ client: ClientMetadata; attempt: () => Promise<Answer> }>
  rows: Record<string, number>
}

const cases: Case[] = [
  {
    title: 'an authorization code (RFC 6749 §4.1.3)',
    async prepare() {
      const client = await postern.createClient()
      const answered = await authorize(postern, client, { email, scope: 'openid offline_access' })
      return { client, attempt: () => redeem(postern, answered, { client }) }
    },
    rows: { 'AuthorizationCode used': 1, AccessToken: 1, RefreshToken: 1 },
  },
  {
    title: 'a code for a JWT access token (RFC 9068)',
    async prepare() {
      const client = await postern.createClient()
      const answered = await authorize(postern, client, { email, scope: 'openid read', resource: api })
      return { client, attempt: () => redeem(postern, answered, { client, resource: api }) }
    },
    rows: { 'AuthorizationCode used': 1, AccessToken: 1 },
  },
  {
    title: 'a refresh token (RFC 6749 §6)',
    async prepare() {
      const client = await postern.createClient()
      const { tokens } = await login(postern, client, { email, scope: 'openid offline_access' })
      const form = { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) }
      return { client, attempt: () => send(postern, '/oauth/token', { client, form }) }
    },
    rows: { 'AuthorizationCode used': 1, AccessToken: 2, 'RefreshToken used': 1, RefreshToken: 1 },
  },
  {
    title: 'a device code (RFC 8628 §3.4)',
    async prepare() {
      const client = await postern.createClient({
        grant_types: [deviceGrant, 'refresh_token'],
        redirect_uris: [],
        response_types: [],
      })
      const begun = await send(postern, '/oauth/device_authorization', { client, form: { scope: 'openid' } })
      await approve(String(begun.json['user_code']))
      const form = { grant_type: deviceGrant, device_code: String(begun.json['device_code']) }
      return { client, attempt: () => send(postern, '/oauth/token', { client, form }) }
    },
    rows: { 'DeviceCode used': 1, AccessToken: 1 },
  },
]

async function approve(user_code: string): Promise<void> {
  const visitor = createVisitor(postern.issuer)
  const entered = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
  let page = await visitor.submit(entered, '/device', { confirm: 'yes' })
  for (let step = 0; step < 4 && page.url.includes('/interaction/'); step++) {
    page = page.body.includes('name="password"') ? await visitor.signIn(page, email) : await visitor.allow(page)
  }
  expect(page.status).toBe(200)
}

function forget({ client_id }: ClientMetadata): void {
  postern.server.postern.clients.forget(client_id) // so that reading it takes a statement too
}

async function rowsOf({ client_id }: ClientMetadata): Promise<Record<string, number>> {
  const rows = await database.query(
    `select model || case when consumed_at is null then '' else ' used' end as kind, count(*)::int as count
     from artifacts where client_id = $1 and model <> 'Interaction' group by 1`,
    [client_id],
  )
  return Object.fromEntries(rows.map(({ kind, count }) => [String(kind), Number(count)]))
}

async function expectGood(client: ClientMetadata, { status, json }: Answer): Promise<void> {
  expect([status, json['error']]).toEqual([200, undefined])
  const token = String(json['access_token'])
  if (token.split('.').length === 3) return // a JWT is valid without introspection
  const introspected = await send(postern, '/oauth/introspect', { client, form: { token } })
  expect(introspected.json).toMatchObject({ active: true })
  if (typeof json['refresh_token'] !== 'string') return
  const form = { grant_type: 'refresh_token', refresh_token: json['refresh_token'] }
  expect((await send(postern, '/oauth/token', { client, form })).status).toBe(200)
}

for (const { title, prepare, rows } of cases) {
  describe(`while the connection to PostgreSQL breaks, ${title}`, () => {
    test('is redeemed in the three statements that are broken below', async () => {
      const { client, attempt } = await prepare()
      forget(client)
      proxy.statements.splice(0)
      const answer = await attempt()
      expect(proxy.statements).toHaveLength(calls.length)
      expect(await rowsOf(client)).toEqual(rows)
      await expectGood(client, answer)
    })

    for (const [nth, call] of calls.entries()) {
      for (const when of moments) {
        test(`is not lost when the connection breaks ${when} the statement for ${call}`, async () => {
          const { client, attempt } = await prepare()
          forget(client)
          const broken = proxy.cut({ match: () => true, nth, when })
          const first = await attempt()
          await broken
          expect([200, 503]).toContain(first.status)
          if (first.status === 503) expect(first.json).toMatchObject({ error: 'temporarily_unavailable' })
          const answer = first.status === 200 ? first : await attempt()
          expect(await rowsOf(client)).toEqual(rows)
          await expectGood(client, answer)
        })
      }
    }
  })
}
