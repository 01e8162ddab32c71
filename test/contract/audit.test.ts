import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventTypes } from '../../src/stores/operations/audit-events.ts'
import { adminToken, call, createAdministrator } from '../support/admin.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, completeLogin, discover, login, refusal } from '../support/relying-party.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const offline = 'openid email offline_access'

let postern: TestPostern
let accountId: string
let seen = 0

/** Returns the events recorded since the last call, oldest first. */
async function recorded(): Promise<Record<string, unknown>[]> {
  const rows = await postern.database.query(
    `select * from audit_events where id > $1 and type not like 'key.%' order by id`,
    [seen],
  )
  seen = Number(rows.at(-1)?.['id'] ?? seen)
  return rows
}
const types = async () => (await recorded()).map(({ type }) => type)

beforeAll(async () => {
  postern = await startPostern()
  accountId = (await postern.createAccount(email)).id
})
beforeEach(recorded)
afterAll(() => postern?.stop())

describe('the audit', () => {
  test('records a sign-in and a consent', async () => {
    const client = await postern.createClient()
    await login(postern, client, { email })
    const rows = await recorded()
    expect(rows.map(({ type }) => type)).toEqual(['sign_in.succeeded', 'session.began', 'consent.given'])
    expect(rows.map((row) => row['account_id'])).toEqual([accountId, accountId, accountId])
    expect(rows.at(-1)).toMatchObject({ client_id: client.client_id, grant_id: expect.any(String) })
    for (const row of rows) expect(row).toMatchObject({ request_id: expect.any(String), address: expect.any(String) })
  })

  test('records a wrong password', async () => {
    const config = await discover(postern, await postern.createClient())
    const { page, visitor } = await beginLogin(config, { issuer: postern.issuer })
    await visitor.signIn(page, email, 'wrong')
    await visitor.signIn(page, 'nobody@example.com', 'wrong')
    const rows = await recorded()
    expect(rows.map(({ type, account_id }) => [type, account_id])).toEqual([
      ['sign_in.failed', accountId],
      ['sign_in.failed', null],
    ])
  })

  test('records the denial of a whole request', async () => {
    const client = await postern.createClient()
    const { page, visitor } = await beginLogin(await discover(postern, client), { issuer: postern.issuer })
    const consent = await visitor.signIn(page, email)
    await recorded()
    await visitor.submit(consent, '/consent', { decision: 'deny' })
    const [row, ...more] = await recorded()
    expect([row?.['type'], row?.['account_id'], row?.['client_id']]).toEqual([
      'consent.denied',
      accountId,
      client.client_id,
    ])
    expect(more).toEqual([])
  })

  test('does not record the use of an existing session', async () => {
    const client = await postern.createClient()
    const { visitor, config } = await login(postern, client, { email })
    await recorded()
    await completeLogin(await beginLogin(config, { issuer: postern.issuer, visitor }), email)
    expect(await types()).toEqual([])
  })

  test('records the second use of a refresh token', async () => {
    const strict = await startPostern({ REFRESH_TOKEN_REUSE_WINDOW_SECONDS: '0' })
    try {
      await strict.createAccount(email)
      const client = await strict.createClient()
      const { config, tokens } = await login(strict, client, { email, scope: offline })
      await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
      await refusal(oidc.refreshTokenGrant(config, String(tokens.refresh_token)))
      const rows = await strict.database.query(`select client_id from audit_events where type = 'refresh_token.reused'`)
      expect(rows).toEqual([{ client_id: client.client_id }])
    } finally {
      await strict.stop()
    }
  })

  test('records the revocation of a token', async () => {
    const client = await postern.createClient()
    const { tokens } = await login(postern, client, { email, scope: offline })
    await recorded()
    await send(postern, '/oauth/revoke', { client, form: { token: String(tokens.refresh_token) } })
    expect(await types()).toEqual(['tokens.revoked'])
  })

  test('records an operator’s action, with the name of the operator', async () => {
    const client = await postern.createClient()
    await operate(postern, 'client disable', { client_id: client.client_id })
    expect(await recorded()).toMatchObject([
      { type: 'client.disabled', actor: 'operator:test', client_id: client.client_id },
    ])
  })

  test('does not record an operator’s action that was rejected', async () => {
    await expect(operate(postern, 'client disable', { client_id: 'unknown' })).rejects.toThrow('no client unknown')
    await expect(operate(postern, 'account create', { email, password: 'long enough' })).rejects.toThrow('already')
    expect(await types()).toEqual([])
  })
})

describe('the audit is append-only', () => {
  test.each(['update audit_events set actor = null', 'delete from audit_events', 'truncate audit_events'])(
    '%s fails, even for a superuser, unless the rule is removed first',
    async (statement) => {
      const [before] = await postern.database.query(
        "select count(*)::int as n from audit_events where type not like 'key.%'",
      )
      await expect(postern.database.query(statement)).rejects.toThrow('append-only')
      expect(
        await postern.database.query("select count(*)::int as n from audit_events where type not like 'key.%'"),
      ).toEqual([before])
    },
  )
})

describe('postern audit', () => {
  type Listed = { items: Record<string, unknown>[]; next_cursor?: string }
  const list = (input: Record<string, unknown> = {}) => operate(postern, 'audit list', input) as Promise<Listed>

  test('shows the newest events first, filtered by type, actor, account, client and time', async () => {
    const client = await postern.createClient()
    const { client_id } = client
    await operate(postern, 'client disable', { client_id })
    await operate(postern, 'client enable', { client_id })
    expect((await list({ client_id })).items.map(({ type }) => type)).toEqual(['client.enabled', 'client.disabled'])
    expect((await list({ client_id, type: 'client.enabled' })).items).toHaveLength(1)
    expect((await list({ client_id, actor: 'operator:somebody' })).items).toEqual([])
    expect((await list({ client_id, since: '2999-01-01T00:00:00Z' })).items).toEqual([])
    expect((await list({ client_id, until: '2000-01-01T00:00:00Z' })).items).toEqual([])
    const ofAccount = (await list({ account_id: accountId })).items
    expect(ofAccount.length).toBeGreaterThan(2)
    expect(new Set(ofAccount.map(({ account_id }) => account_id))).toEqual(new Set([accountId]))
  })

  test('continues where it stopped until the end, whatever has happened since', async () => {
    const { client_id } = await postern.createClient()
    for (const verb of ['disable', 'enable', 'disable', 'enable'])
      await operate(postern, `client ${verb}`, { client_id })
    const first = await list({ client_id, limit: 3 })
    await operate(postern, 'client disable', { client_id })
    const second = await list({ client_id, limit: 3, cursor: first.next_cursor })
    expect([...first.items, ...second.items].map(({ type }) => type)).toEqual([
      'client.enabled',
      'client.disabled',
      'client.enabled',
      'client.disabled',
    ])
    expect(second).not.toHaveProperty('next_cursor')
  })

  test('rejects a cursor of another filter, a cursor of another list, and an invented one', async () => {
    const { client_id } = await postern.createClient()
    for (const verb of ['disable', 'enable']) await operate(postern, `client ${verb}`, { client_id })
    const { next_cursor: cursor = '' } = await list({ client_id, limit: 1 })
    for (const [command, input] of [
      ['audit list', { cursor }],
      ['client list', { cursor }],
      ['audit list', { client_id, cursor: cursor.slice(0, -1) }],
      ['audit list', { client_id, cursor: "' or 1=1 --" }],
    ] as const) {
      await expect(operate(postern, command, input)).rejects.toThrow('is not a cursor of this list')
    }
    expect((await list({ client_id, cursor, limit: 1 })).items).toHaveLength(1)
  })

  test('shows the email address of the account and the name of the client', async () => {
    const client = await postern.createClient({ client_name: 'Field Notes' })
    await login(postern, client, { email })
    const [given] = (await list({ client_id: client.client_id, type: 'consent.given' })).items
    expect(given).toMatchObject({ account_id: accountId, email, client_name: 'Field Notes' })
    const [made] = (await list({ type: 'key.created', limit: 1 })).items
    expect(made?.['email']).toBeUndefined()
  })

  test.each([
    ['client.registred', 'Did you mean client.registered?'],
    ['sign_in', 'docs/audit-events.md lists the types'],
    ['toString', 'docs/audit-events.md lists the types'],
  ])('rejects an unknown type of event and suggests the nearest: %s', async (type, advice) => {
    await expect(list({ type })).rejects.toThrow(advice)
  })

  test('rejects an unknown type over the admin API, too, and suggests the nearest', async () => {
    const bearer = await adminToken(postern, await createAdministrator(postern))
    const { status, json } = await call(postern, '/audit?type=client.registred', { bearer })
    expect(status).toBe(422)
    expect(json['errors']).toMatchObject([
      { field: 'type', detail: expect.stringContaining('Did you mean client.registered?') },
    ])
  })

  test('knows every type that is recorded', async () => {
    const rows = await postern.database.query('select distinct type from audit_events')
    for (const { type } of rows) expect(Object.keys(eventTypes)).toContain(type)
  })

  test('continues with a relative time only if the words are the same', async () => {
    const first = await list({ since: '1 hour ago', limit: 1 })
    const second = await list({ since: '1 hour ago', limit: 1, cursor: first.next_cursor })
    expect(Number(second.items[0]?.['id'])).toBeLessThan(Number(first.items[0]?.['id']))
    await expect(list({ since: '2 hours ago', limit: 1, cursor: first.next_cursor })).rejects.toThrow('is not a cursor')
  })
})
