import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { connect, type Database } from '../../../src/database/connect.ts'
import { createLogger } from '../../../src/log/index.ts'
import { createClientUses } from '../../../src/oidc/clients/last-used.ts'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { eventually } from '../../support/eventually.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { authorize } from '../../support/relying-party.ts'
import { type Answer, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const device = { grant_types: ['urn:ietf:params:oauth:grant-type:device_code'], redirect_uris: [], response_types: [] }
const open = { token_endpoint_auth_method: 'none' }
const code = { response_type: 'code', redirect_uri: 'https://rp.example/cb', scope: 'openid' }
const pkce = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
})
afterEach(() => vi.useRealTimers())
afterAll(() => postern?.stop())

type Row = { last_used_at: Date | null; unused_expires_at: Date | null; updated_at: Date }

async function row({ client_id }: ClientMetadata): Promise<Row> {
  const rows = await postern.database.query(
    'select last_used_at, unused_expires_at, updated_at from clients where id = $1',
    [client_id],
  )
  return rows[0] as Row
}

const usedAt = async (client: ClientMetadata) => (await row(client)).last_used_at
const ask = (client: ClientMetadata) =>
  send(postern, '/oauth/token', { client, form: { grant_type: 'client_credentials' } })
/** Sends a request that merely claims to come from this client. */
const claim = (path: string, { client_id }: ClientMetadata, form: Record<string, string> = {}) =>
  send(postern, path, { form: { client_id, ...form } })

describe('the last use of a client', () => {
  test.each<[string, Record<string, unknown>, (client: ClientMetadata) => Promise<Answer | undefined>]>([
    ['a token request', machine, ask],
    ['introspection', machine, (client) => send(postern, '/oauth/introspect', { client, form: { token: 'none' } })],
    ['revocation', machine, (client) => send(postern, '/oauth/revoke', { client, form: { token: 'none' } })],
    [
      'a pushed request',
      { token_endpoint_auth_method: 'client_secret_post' },
      (client) => claim('/oauth/par', client, { ...code, ...pkce, client_secret: String(client['client_secret']) }),
    ],
    [
      'a device authorization',
      device,
      (client) => send(postern, '/oauth/device_authorization', { client, form: { scope: 'openid' } }),
    ],
    ['a sign-in to a public client', open, (client) => authorize(postern, client, { email }).then(() => undefined)],
  ])('is the time of %s', async (_what, metadata, use) => {
    const client = await postern.createClient(metadata)
    const { updated_at } = await row(client)
    const answer = await use(client)
    if (answer) expect(answer.status, answer.text).toBeLessThan(300)
    expect(await usedAt(client)).toBeNull()
    await postern.restart()
    const after = await row(client)
    expect(after.last_used_at?.getTime()).toBeGreaterThan(Date.now() - 60_000)
    expect(after.updated_at).toEqual(updated_at)
  })

  test('is not a request that was rejected or that only claims to come from it', async () => {
    const client = await postern.createClient({ grant_types: ['authorization_code', 'client_credentials'] })
    const publicClient = await postern.createClient({ ...open, ...device, redirect_uris: ['https://rp.example/cb'] })
    const query = new URLSearchParams({ client_id: client.client_id, ...code, scope: 'openid nothing\x01', ...pkce })
    const answers = [
      await ask({ ...client, client_secret: 'wrong' }),
      await send(postern, '/oauth/token', { client, form: { grant_type: 'refresh_token', refresh_token: 'none' } }),
      await claim('/oauth/token', publicClient, { grant_type: 'refresh_token', refresh_token: 'none' }),
    ]
    expect(answers.map(({ status }) => status >= 400)).toEqual([true, true, true])
    const unproven = [
      await claim('/oauth/device_authorization', publicClient, { scope: 'openid' }),
      await claim('/oauth/revoke', publicClient, { token: 'none' }),
      await send(postern, `/oauth/authorize?${query}`),
    ]
    expect(unproven.map(({ status }) => status)).toEqual([200, 200, 303])
    await postern.restart()
    expect([await usedAt(client), await usedAt(publicClient)]).toEqual([null, null])
  })

  test('is written neither in the request nor soon after it', async () => {
    const client = await postern.createClient(machine)
    await ask(client)
    const sent = () => [...postern.statements.splice(0), ...postern.statementsOfServer.splice(0)]
    sent()
    for (let request = 0; request < 20; request++) await ask(client)
    expect(sent().filter((sql) => sql.includes('last_used_at'))).toEqual([])
  })
})

describe('a use that was noted', () => {
  let own: Database // It has one connection, so statements are sent in order.
  const sent: string[] = []
  beforeAll(() => {
    own = connect({
      url: postern.database.url,
      poolSize: 1,
      preparedStatements: true,
      onError: () => {},
      onStatement: (sql) => sent.push(sql),
    })
    return () => own.close()
  })

  const setUp = async () => {
    const { clients } = postern.server.postern
    const many = await Promise.all(Array.from({ length: 3 }, () => postern.createClient(machine)))
    for (const { client_id } of many) await clients.find(client_id)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    const logged: string[] = []
    const log = createLogger('warn', { write: (line) => logged.push(line) })
    sent.splice(0)
    return { many, logged, uses: createClientUses({ db: own.db, clients, log }) }
  }
  const written = () => sent.splice(0).filter((sql) => sql.includes('set "last_used_at"')).length
  /** Lets this much time pass, and the work that is then due finish. */
  async function pass(ms: number): Promise<number> {
    await vi.advanceTimersByTimeAsync(ms)
    await own.db.selectFrom('clients').select('id').limit(1).execute() // its turn comes after the due work
    return written()
  }

  test('is written once a minute, for all clients in one statement, and at most once an hour for each', async () => {
    const { many, uses } = await setUp()
    const note = () => {
      for (const { client_id } of many) uses.note(client_id, true)
    }
    note()
    expect(await pass(59_000)).toBe(0)
    note()
    expect(await pass(2_000)).toBe(1)
    for (const client of many) expect(await usedAt(client)).not.toBeNull()
    for (let minute = 1; minute < 59; minute++) {
      note()
      expect(await pass(60_000)).toBe(0)
    }
    await pass(60_000)
    note()
    expect(await pass(60_000)).toBe(1)
    await uses.stop()
    expect(written()).toBe(0)
  })

  test('is written later if it could not be written', async () => {
    const { many, logged, uses } = await setUp()
    for (const { client_id } of many) uses.note(client_id, true)
    await postern.database.query('alter table clients rename column last_used_at to elsewhere')
    expect(await pass(60_000)).toBe(1)
    await eventually(() => expect(logged).toHaveLength(1))
    await postern.database.query('alter table clients rename column elsewhere to last_used_at')
    expect(await pass(60_000)).toBe(1)
    for (const client of many) expect(await usedAt(client)).not.toBeNull()
    await uses.stop()
  })

  test('is written at once if the client would otherwise be removed, and prevents its removal', async () => {
    const client = await postern.createClient(machine)
    const { client_id } = client
    await postern.database.query(`update clients set unused_expires_at = now() + interval '1 hour' where id = $1`, [
      client_id,
    ])
    postern.server.postern.clients.forget(client_id)
    expect((await ask(client)).status).toBe(200)
    await expect.poll(async () => (await row(client)).unused_expires_at).toBeNull()
    expect(await usedAt(client)).not.toBeNull()
  })

  test('is recorded for a client that only authenticated, but does not prevent its removal', async () => {
    const client = await postern.createClient(machine)
    const { client_id } = client
    await postern.database.query(`update clients set unused_expires_at = now() + interval '1 hour' where id = $1`, [
      client_id,
    ])
    postern.server.postern.clients.forget(client_id)
    const { uses } = await setUp()
    uses.note(client_id, false)
    await uses.stop()
    expect((await row(client)).unused_expires_at).not.toBeNull()
    expect(await usedAt(client)).not.toBeNull()
    uses.note(client_id, true) // a use is not written again within the hour
    await uses.stop()
    expect((await row(client)).unused_expires_at).toBeNull()
  })

  test('does not bring back a client that was deleted', async () => {
    const { many, uses } = await setUp()
    const [client] = many
    if (!client) throw new Error('no client')
    uses.note(client.client_id, true)
    await postern.database.query('update clients set deleted_at = now() where id = $1', [client.client_id])
    await uses.stop()
    expect(await usedAt(client)).toBeNull()
  })
})
