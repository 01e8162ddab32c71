import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import * as resourceServers from '../../../src/stores/clients/resource-servers.ts'
import * as grants from '../../../src/stores/protocol/grants.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover, login } from '../../support/relying-party.ts'
import { tickboxes } from '../../support/visitor.ts'
import { answerOf, send } from '../../support/wire.ts'

const scope = 'openid offline_access read write'
const scopes = { read: 'Read', write: 'Write' }
let postern: TestPostern
let client: ClientMetadata
let owner: ClientMetadata
let api: string
let email: string
let count = 0

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  postern = await startPostern()
  client = await postern.createClient()
  const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  owner = await postern.createClient(machine)
})
afterAll(async () => {
  await postern?.stop()
  vi.useRealTimers()
})
afterEach(() => heard())

/** Moves the clock by the longest time that a process may take to learn of a change. */
const heard = () => vi.setSystemTime(Date.now() + 5_000)

async function createApi(): Promise<void> {
  api = `https://api-${++count}.example/`
  email = `person-${count}@example.com`
  await postern.createAccount(email)
  await register()
}

async function register(): Promise<void> {
  await operate(postern, 'resource create', { identifier: api, scopes, client_id: owner.client_id })
  heard()
}

const signIn = () => login(postern, client, { email, scope, resource: api, tokenParameters: { resource: api } })
const introspect = async (token: unknown) =>
  (await send(postern, '/oauth/introspect', { client: owner, form: { token: String(token) } })).json
const refresh = (token: unknown) =>
  send(postern, '/oauth/token', {
    client,
    form: { grant_type: 'refresh_token', refresh_token: String(token), resource: api },
  })
const granted = async () =>
  (
    await postern.database.query(
      `select payload->'resources' ? $1 or payload->'rejected'->'resources' ? $1 as named from grants`,
      [api],
    )
  ).filter(({ named }) => named === true)

describe('an API that is registered under the identifier of a deleted one', () => {
  test('has none of its consents, denials and tokens, so people see the question again', async () => {
    await createApi()
    const { tokens, visitor } = await signIn()
    expect(await introspect(tokens.access_token)).toMatchObject({ active: true, scope: 'read write' })
    await operate(postern, 'resource delete', { identifier: api })
    expect(await granted()).toEqual([])
    heard()
    await register()
    expect(await introspect(tokens.access_token)).toEqual({ active: false })
    const { json } = await refresh(tokens.refresh_token)
    expect(json['scope'] ?? '').toBe('')
    const request = { issuer: postern.issuer, visitor, scope: 'openid read write', resource: api }
    const { page } = await beginLogin(await discover(postern, client), request)
    expect(tickboxes(page.body).filter(({ name }) => name === 'resource_scope')).toHaveLength(2)
  })

  test('accepts no earlier token, even after a new consent, and even if a late request wrote the token', async () => {
    await createApi()
    const { tokens } = await signIn()
    const rows = await postern.database.query(`select * from artifacts where payload->>'aud' = $1`, [api])
    await operate(postern, 'resource delete', { identifier: api })
    heard()
    await register()
    await signIn()
    for (const { id_hash, model, grant_id, family, account_id, client_id, payload, expires_at, created_at } of rows) {
      await postern.database.query(
        `insert into artifacts (id_hash, model, grant_id, family, account_id, client_id, payload, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [id_hash, model, grant_id, family, account_id, client_id, payload, expires_at, created_at],
      )
    }
    expect(await introspect(tokens.access_token)).toEqual({ active: false })
  })

  test('gets no consent from a page that showed the deleted one', async () => {
    await createApi()
    const config = await discover(postern, client)
    const begun = await beginLogin(config, { issuer: postern.issuer, scope: 'openid read', resource: api })
    const page = await begun.visitor.signIn(begun.page, email)
    await operate(postern, 'resource delete', { identifier: api })
    heard()
    await register()
    const answer = await begun.visitor.allow(page)
    expect(answer.url).not.toContain('code=')
    expect(await granted()).toEqual([])
  })
})

/** Runs a request while an API is being deleted: the deletion is complete but not committed. */
async function whileDeleting<T>(request: () => Promise<T>): Promise<T> {
  const { db } = postern.server.postern.database
  let running: Promise<T> | undefined
  await db.transaction().execute(async (tx) => {
    await resourceServers.destroy(tx, api)
    await grants.forgetResource(tx, api)
    running = request()
    await expect
      .poll(async () => {
        const waiting = await postern.database.query(
          `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
        )
        return waiting.length
      })
      .toBeGreaterThan(0)
  })
  return running as Promise<T>
}

describe('while an API is deleted', () => {
  test('a refresh yields no valid token, even after an API with that identifier is registered again', async () => {
    await createApi()
    const { tokens } = await signIn()
    const { json } = await whileDeleting(() => refresh(tokens.refresh_token))
    heard()
    await register()
    expect(await introspect(json['access_token'])).toEqual({ active: false })
    expect((await refresh(json['refresh_token'])).json['scope'] ?? '').toBe('')
  })

  test('a consent leaves no consent behind', async () => {
    await createApi()
    const begun = await beginLogin(await discover(postern, client), {
      issuer: postern.issuer,
      scope: 'openid read',
      resource: api,
    })
    const page = await begun.visitor.signIn(begun.page, email)
    await whileDeleting(() => begun.visitor.allow(page))
    expect(await granted()).toEqual([])
  })

  test('a first-party client’s request, which needs no consent, leaves no grant behind', async () => {
    await createApi()
    const own = await postern.createClient({ first_party: true })
    const begun = await beginLogin(await discover(postern, own), {
      issuer: postern.issuer,
      scope: 'openid read',
      resource: api,
    })
    const { url } = await whileDeleting(() => begun.visitor.signIn(begun.page, email))
    expect(answerOf(url)).not.toHaveProperty('access_token')
    expect(await granted()).toEqual([])
  })
})
