import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { assemble, type Postern } from '../../src/assemble/index.ts'
import { parse } from '../../src/config/index.ts'
import { startRemovingClients } from '../../src/jobs/client-removal.ts'
import { createLogger } from '../../src/log/index.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import * as lifetimes from '../../src/stores/clients/lifetimes.ts'
import { eventually } from '../support/eventually.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
let postern: TestPostern
let other: Postern // stands for another process of the same deployment, within this process
const logged: string[] = []
const log = createLogger('warn', { write: (line) => logged.push(line) })

beforeAll(async () => {
  postern = await startPostern()
  other = await assemble(parse({ ...postern.env, PORT: '0' }), { log: createLogger('silent') })
  await postern.createAccount(email)
})
beforeEach(() => logged.splice(0))
afterEach(() => vi.useRealTimers())
afterAll(async () => {
  await other?.close()
  await postern?.stop()
})

/** Makes each of these processes remove the clients that are due, at the same time. */
async function removeIn(...processes: Pick<Postern, 'database'>[]): Promise<void> {
  for (const { database } of processes) await database.db.selectFrom('clients').select('id').limit(1).execute()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const jobs = processes.map(({ database }) => startRemovingClients({ database, log }))
  await vi.runOnlyPendingTimersAsync()
  vi.useRealTimers()
  await vi.waitFor(async () => expect(await lifetimes.findEnded(other.database.db, 1)).toEqual([]), {
    timeout: 120_000,
  })
  await Promise.all(jobs.map((job) => job.stop()))
}

async function change({ client_id }: ClientMetadata, columns: string): Promise<void> {
  await postern.database.query(`update clients set ${columns} where id = $1`, [client_id])
}

async function state({ client_id }: ClientMetadata): Promise<'there' | 'tombstone' | 'gone'> {
  const [row] = await postern.database.query('select deleted_at, metadata from clients where id = $1', [client_id])
  if (!row) return 'gone'
  if (row['deleted_at']) expect(row['metadata']).toEqual({})
  return row['deleted_at'] ? 'tombstone' : 'there'
}

const removals = async ({ client_id }: ClientMetadata) =>
  (
    await postern.database.query(
      `select actor, details->>'reason' as reason from audit_events where type = 'client.removed' and client_id = $1`,
      [client_id],
    )
  ).map(({ actor, reason }) => [actor, reason])

const past = `now() - interval '1 second'`
const itself = 'dynamic = true'

describe('a client is removed', () => {
  test.each([
    ['after the end of its lifetime', `expires_at = ${past}`, 'tombstone', 'expired'],
    [
      'after the end of its lifetime, although it was used',
      `expires_at = ${past}, last_used_at = now(), ${itself}`,
      'tombstone',
      'expired',
    ],
    ['when it was not used in time', `unused_expires_at = ${past}`, 'tombstone', 'unused'],
    ['when it registered itself and was not used in time', `unused_expires_at = ${past}, ${itself}`, 'gone', 'unused'],
    ['when it registered itself and its lifetime ended unused', `expires_at = ${past}, ${itself}`, 'gone', 'expired'],
    [
      'when it is described by a document and was not used in time',
      `unused_expires_at = ${past}, ${itself}, document = true`,
      'tombstone',
      'unused',
    ],
  ])('%s, with a line in the audit', async (_which, columns, left, reason) => {
    const client = await postern.createClient()
    const bystander = await postern.createClient()
    await change(client, columns)
    await removeIn(postern.server.postern)
    expect([await state(client), await state(bystander)]).toEqual([left, 'there'])
    expect(await removals(client)).toEqual([['system', reason]])
  })

  test.each([
    ['before the end of its lifetime', `expires_at = now() + interval '1 minute', ${itself}`],
    ['while it may still be used for the first time', `unused_expires_at = now() + interval '1 minute', ${itself}`],
  ])('but not %s', async (_when, columns) => {
    const client = await postern.createClient()
    await change(client, columns)
    await removeIn(postern.server.postern)
    expect([await state(client), await removals(client)]).toEqual(['there', []])
  })

  test('together with its grants and tokens', async () => {
    const client = await postern.createClient()
    await login(postern, client, { email, scope: 'openid offline_access' })
    await change(client, `expires_at = ${past}`)
    await removeIn(postern.server.postern)
    for (const table of ['grants', 'artifacts']) {
      const rows = await postern.database.query(`select 1 from ${table} where client_id = $1`, [client.client_id])
      expect(rows).toEqual([])
    }
  })

  test.each(['dynamic = false', itself])('so that every process knows it at once (%s)', async (origin) => {
    const client = await postern.createClient(machine)
    const { client_id } = client
    await change(client, `expires_at = now() + interval '1 hour', ${origin}`)
    expect(await other.clients.find(client_id)).toBeDefined()
    await change(client, `expires_at = ${past}`)
    await removeIn(postern.server.postern)
    await expect.poll(() => other.clients.find(client_id)).toBeUndefined()
  })

  test('even if an API introspects as it', async () => {
    const client = await postern.createClient(machine)
    await postern.createResource({ identifier: 'https://api.example/', clientId: client.client_id })
    await change(client, `unused_expires_at = ${past}, ${itself}`)
    await removeIn(postern.server.postern)
    expect(await state(client)).toBe('tombstone')
  })

  test('once, however many processes remove clients', async () => {
    const amount = 120
    await postern.database.query(
      `insert into clients (id, metadata, dynamic, unused_expires_at, created_at, updated_at)
       select 'junk-' || n, '{}', n % 2 = 0, ${past}, now(), now() from generate_series(1, $1) n`,
      [amount],
    )
    await removeIn(postern.server.postern, other)
    const counts = await postern.database.query(
      `select count(*)::int as lines, count(distinct client_id)::int as clients from audit_events
       where type = 'client.removed' and client_id like 'junk-%'`,
    )
    expect(counts).toEqual([{ lines: amount, clients: amount }])
    const rows = await postern.database.query(`select count(*)::int as left from clients where id like 'junk-%'`)
    expect(rows).toEqual([{ left: amount / 2 }])
    expect(logged).toEqual([])
  })

  test('even when another one cannot be removed', async () => {
    const [stuck, free] = [await postern.createClient(), await postern.createClient()]
    await change(stuck, `expires_at = ${past}`)
    await change(free, `expires_at = ${past}`)
    await postern.database.query(`create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'not this one'; end $$`)
    await postern.database.query(`create trigger stuck before update on clients for each row
      when (old.id = '${stuck.client_id}') execute function refuse()`)
    const { database } = postern.server.postern
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const job = startRemovingClients({ database, log })
    await vi.runOnlyPendingTimersAsync()
    vi.useRealTimers()
    await eventually(async () => expect(await state(free)).toBe('tombstone'))
    await eventually(() => expect(logged.join()).toContain('could not be removed'))
    await job.stop()
    expect([await state(stuck), await removals(stuck)]).toEqual(['there', []])
    await postern.database.query('drop trigger stuck on clients')
    await removeIn(postern.server.postern)
    expect(await state(stuck)).toBe('tombstone')
  })
})

describe('a client that was used a moment ago', () => {
  const token = (client: ClientMetadata, form: Record<string, string> = {}) =>
    send(postern, '/oauth/token', { client, form: { grant_type: 'client_credentials', ...form } })

  test.each([
    ['a token', {}],
    ['a signed token', { scope: 'read', resource: 'https://signed.example/' }],
  ])('for %s is not removed, although the time for its first use is over', async (_what, form) => {
    await postern.createResource({ identifier: 'https://signed.example/', tokenFormat: 'jwt' })
    const client = await postern.createClient({ ...machine, scope: 'read', resources: ['https://signed.example/'] })
    await change(client, `unused_expires_at = ${past}, ${itself}`)
    postern.server.postern.clients.forget(client.client_id)
    await expect.poll(async () => (await token(client, form)).status).toBe(200)
    const isNoted = `select 1 from clients where id = $1 and unused_expires_at is null`
    await expect.poll(() => postern.database.query(isNoted, [client.client_id])).toHaveLength(1)
    await removeIn(postern.server.postern, other)
    expect([await state(client), await removals(client)]).toEqual(['there', []])
  })

  test('is not removed even if the process that noted the use was killed before it could write it', async () => {
    for (const use of [
      (client: ClientMetadata) => login(postern, client, { email }),
      async (client: ClientMetadata) => expect((await token(client)).status).toBe(200),
    ]) {
      const client = await postern.createClient({ grant_types: ['authorization_code', 'client_credentials'] })
      await use(client)
      await change(client, `unused_expires_at = ${past}, last_used_at = null, ${itself}`)
      await removeIn(postern.server.postern)
      expect([await state(client), await removals(client)]).toEqual(['there', []])
    }
  })
})

test('a client that was deleted without a notice is unknown here at once, because an unused one is not cached', async () => {
  const client = await postern.createClient(machine)
  const { client_id } = client
  await change(client, `unused_expires_at = now() + interval '1 hour', updated_at = updated_at - interval '1 hour'`)
  other.clients.forget(client_id)
  expect(await other.clients.find(client_id)).toMatchObject({ isUnused: true })
  await postern.database.query('delete from clients where id = $1', [client_id])
  expect(await other.clients.find(client_id)).toBeUndefined()
})
