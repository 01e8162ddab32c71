import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { type DatabaseProxy, startProxy } from '../../faults/proxy.ts'
import { createDatabase, type TestDatabase } from '../../support/database.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { authorize, login } from '../../support/relying-party.ts'
import { createVisitor, type Visitor } from '../../support/visitor.ts'
import { redeem, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const scope = 'openid offline_access'

let database: TestDatabase
let proxy: DatabaseProxy
let postern: TestPostern
let client: ClientMetadata
let visitor: Visitor

beforeAll(async () => {
  proxy = await startProxy(inject('postgresUrl'))
  database = await createDatabase()
  postern = await startPostern({
    DATABASE_URL: proxy.urlOf(database.url),
    ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
    REFRESH_TOKEN_REUSE_WINDOW_SECONDS: '0',
  })
  proxy.onlyRequestsOf(postern)
  await postern.createAccount(email)
  client = await postern.createClient()
  visitor = createVisitor(postern.issuer)
  await login(postern, client, { email, visitor, scope })
})
afterEach(() => proxy.accept())
afterAll(async () => {
  await postern?.stop()
  await proxy?.close()
  await database?.drop()
})

/** Reads everything that a request about a token or a code may change. */
function state(): Promise<Record<string, unknown>[]> {
  return database.query(
    `select model, encode(id_hash, 'hex') as id, consumed_at, destroyed_at, payload::text from artifacts
     union all select 'audit', id::text, null, null, type from audit_events where type not like 'key.%'
     union all select 'grant', id, null, null, payload::text from grants
     union all select 'session', uid, null, destroyed_at, payload::text || authorizations::text from sessions
     order by 1, 2`,
  )
}

/** Disconnects the database when a request sends a statement like this one, until the proxy accepts again. */
function goAwayAt(statement: RegExp): Promise<void> {
  return proxy.cut({ match: (sql) => statement.test(sql), when: 'before' }).then(proxy.refuse)
}

const reads = /^\s*select a\.id_hash/
const writes = /^with /

describe('RFC 6749 §4.1.2, §6: while the database is unreachable for longer', () => {
  test.each([
    ['looked up', reads],
    ['redeemed', writes],
  ])('a code that is being %s stays unchanged, and works afterwards', async (_how, statement) => {
    const begun = await authorize(postern, client, { email, visitor, scope })
    const before = await state()
    const gone = goAwayAt(statement)
    const answers = [await redeem(postern, begun, { client }), await redeem(postern, begun, { client })]
    await gone
    for (const { status, json, headers } of answers) {
      expect([status, json]).toEqual([503, expect.objectContaining({ error: 'temporarily_unavailable' })])
      expect(Object.keys(json).filter((name) => name.endsWith('_token'))).toEqual([])
      expect(headers.get('set-cookie')).toBeNull()
    }
    proxy.accept()
    expect(await state()).toEqual(before)
    expect((await redeem(postern, begun, { client })).status).toBe(200)
  })

  test.each([
    ['looked up', reads],
    ['redeemed', writes],
  ])('a refresh token that is being %s stays unchanged, and works afterwards', async (_how, statement) => {
    const { tokens } = await login(postern, client, { email, visitor, scope })
    const form = { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) }
    const before = await state()
    const gone = goAwayAt(statement)
    const { status, json } = await send(postern, '/oauth/token', { client, form })
    await gone
    expect([status, json['error']]).toEqual([503, 'temporarily_unavailable'])
    proxy.accept()
    expect(await state()).toEqual(before)
    expect((await send(postern, '/oauth/token', { client, form })).status).toBe(200)
  })
})

describe('RFC 6749 §5.2: a token request that is rejected', () => {
  test('after its code was found valid leaves the code unchanged and no tokens', async () => {
    const begun = await authorize(postern, client, { email, visitor })
    const before = await state()
    const wrong = await redeem(postern, begun, { client, code_verifier: 'x'.repeat(43) })
    expect([wrong.status, wrong.json['error']]).toEqual([400, 'invalid_grant'])
    const elsewhere = await redeem(postern, begun, { client, resource: 'https://unknown.example/' })
    expect([elsewhere.status, elsewhere.json['error']]).toEqual([400, 'invalid_target'])
    expect(await state()).toEqual(before)
    expect((await redeem(postern, begun, { client })).status).toBe(200)
  })
})

describe('an authorization request whose write fails', () => {
  test('sends no code anywhere, sets no cookie, and changes nothing', async () => {
    const { config } = await authorize(postern, client, { email, visitor })
    const before = await state()
    const gone = goAwayAt(writes)
    const { page } = await authorize(postern, client, { email, visitor, config })
    await gone
    expect(page.status).toBe(503)
    expect(page.headers.get('location') ?? page.headers.get('set-cookie')).toBeNull()
    expect(page.body).not.toContain('name="password"')
    proxy.accept()
    expect(await state()).toEqual(before)
    const again = await authorize(postern, client, { email, visitor, config })
    expect((await redeem(postern, again, { client })).status).toBe(200)
  })
})
