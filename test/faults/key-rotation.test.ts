import { decodeProtectedHeader } from 'jose'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import * as keys from '../../src/stores/keys/keys.ts'
import { browserAt, getCode, login, refresh } from '../concurrency/journey.ts'
import { type Fleet, type ServerProcess, startFleet } from '../support/processes.ts'
import { type Balancer, createBalancer } from './balancer.ts'
import { hold, type Point } from './hold.ts'
import { type Watching, watchKeyTable, watchTokens } from './watching.ts'

const email = 'ada@example.com'
const resource = 'https://api.example/'
const purpose = 'ES256' // the key whose rotation is disturbed; other keys rotate at the same time
const cacheSeconds = 1
const patience = { timeout: 120_000, interval: 50 }

let fleet: Fleet
let balancer: Balancer
let logins: { alg: string; client: ClientMetadata; refreshToken: string }[]
let watches: Record<'table' | 'tokens', Watching>

beforeAll(async () => {
  // Three processes: when one is killed, one of the other two has been running for a while and continues at once.
  fleet = await startFleet({ KEY_ROTATION_SECONDS: '2', JWKS_CACHE_SECONDS: String(cacheSeconds) }, 3)
  balancer = createBalancer(fleet)
  // A new key waits ten seconds for every process to have it. These processes learn at once, so nine seconds are
  // skipped.
  await fleet.database.query(`
    create function pass_time() returns trigger language plpgsql as $$
    begin
      new.created_at := new.created_at - interval '9 seconds';
      return new;
    end $$;
    create trigger pass_time before insert on keys for each row when (new.state = 'pending')
    execute function pass_time()`)
  // RSA keys take long to generate: those made at the start are used throughout.
  await fleet.database.query(
    `update keys set active_at = active_at + interval '1 hour' where purpose in ('RS256', 'PS256')`,
  )
  await fleet.createAccount(email)
  await fleet.operate('resource create', { identifier: resource, scopes: { read: 'Read' }, token_format: 'jwt' })
  const machine = await fleet.createClient({
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'read',
    resources: [resource],
  })
  const { issuer } = fleet
  const browser = browserAt({ issuer, fetch: balancer.fetch })
  logins = []
  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
    const client = await fleet.createClient({ id_token_signed_response_alg: alg })
    await getCode(browser, client, { email })
    const { refreshToken } = await login(fleet.processes[0], client, { email })
    logins.push({ alg, client, refreshToken })
  }
  const clients = logins.map(({ client }) => client)
  watches = {
    table: await watchKeyTable(fleet.database.url),
    tokens: watchTokens({ issuer, balancer, browser, clients, machine, resource, cacheSeconds }),
  }
})
afterEach(() => {
  expect(watches.table.wrongs).toEqual([])
  expect(watches.tokens.wrongs).toEqual([])
})
afterAll(async () => {
  for (const watch of Object.values(watches ?? {})) await watch.stop()
  if (watches) console.log(`looked at the keys ${watches.table.seen} times, verified ${watches.tokens.seen} tokens`)
  await fleet?.stop()
})

/** Lists the keys of the purpose that is disturbed. */
async function own(): Promise<keys.Key[]> {
  return (await keys.list(fleet.operator.database.db)).filter((key) => key.purpose === purpose)
}

async function connected(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: fleet.database.url })
  await client.connect()
  return client
}

/** Listens for the next transaction that changes keys. */
async function nextChange(): Promise<{ committed: Promise<void> }> {
  const client = await connected()
  await client.query(`listen ${keys.changedChannel}`)
  const { promise, resolve } = Promise.withResolvers<void>()
  client.on('notification', () => resolve())
  return { committed: promise.finally(() => void client.end()) }
}

/** Asserts, while no process can lead, that all publish the keys in the database and sign with its active ones. */
async function expectAgreement(): Promise<void> {
  const leader = await connected()
  await leader.query(`select pg_advisory_lock(${0x6b657973})`)
  try {
    const signing = (await keys.list(fleet.operator.database.db)).filter(({ publicJwk }) => publicJwk)
    const published = signing.filter(({ state }) => state !== 'removed').map(({ id }) => id)
    const active = signing.filter(({ state }) => state === 'active').map((key) => [key.purpose, key.id])
    for (const server of fleet.processes) {
      await vi.waitFor(async () => expect((await publishedBy(server)).kids).toEqual(published.toSorted()), patience)
    }
    // The same order means that each process knows which keys sign.
    const texts = async () => Promise.all(fleet.processes.map(async (server) => (await publishedBy(server)).text))
    await vi.waitFor(async () => expect(new Set(await texts()).size).toBe(1), patience)
    for (const server of fleet.processes) {
      const signedBy: Record<string, string | undefined> = {}
      for (const one of logins) {
        const { json } = await refresh(server, one.client, one.refreshToken)
        one.refreshToken = String(json['refresh_token'])
        signedBy[one.alg] = decodeProtectedHeader(String(json['id_token'])).kid
      }
      expect(signedBy).toEqual(Object.fromEntries(active))
    }
  } finally {
    await leader.end()
  }
}

async function publishedBy(server: ServerProcess) {
  const response = await server.fetch(`${fleet.issuer}/oauth/jwks`)
  const text = await response.text()
  const kids = (JSON.parse(text) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid).toSorted()
  return { text, kids, control: response.headers.get('cache-control') }
}

/** Waits until the rotation that was under way then is over: a next key exists again. */
async function expectFinished(before: keys.Key[]): Promise<void> {
  const taken = before.filter(({ activeAt }) => activeAt).length
  await vi.waitFor(async () => {
    const now = await own()
    expect(now.filter(({ activeAt }) => activeAt).length).toBeGreaterThan(taken)
    expect(now.some(keys.isNext)).toBe(true)
  }, patience)
}

/** Makes the oldest retired key old enough to be removed. */
async function growOld(): Promise<string> {
  const retired = async () => (await own()).filter(({ state }) => state === 'retired')
  await vi.waitFor(async () => expect(await retired()).not.toEqual([]), patience)
  const [{ id } = { id: '' }] = await retired()
  await fleet.database.query(`update keys set retired_at = retired_at - interval '2 days' where id = $1`, [id])
  return id
}

async function expectRemoved(kid: string): Promise<void> {
  const find = async () => (await own()).find(({ id }) => id === kid)
  await vi.waitFor(async () => expect(await find()).toMatchObject({ state: 'removed' }), patience)
}

const lineOf = (type: string): Point => ({
  before: 'insert on audit_events',
  when: `new.type = '${type}' and new.details ->> 'purpose' = '${purpose}'`,
})
const takeover: Point = {
  before: 'update on keys',
  when: `new.state = 'active' and old.state <> 'active' and new.purpose = '${purpose}'`,
}
const removal = lineOf('key.removed')

/** Finds the process that leads, once it has reached a point. */
async function leaderAt(point: Point) {
  const held = await hold(fleet.database, point)
  const name = await held.reached()
  const leader = fleet.processes.find(({ applicationName }) => applicationName === name)
  if (!leader) throw new Error(`${name} is no process`)
  return { leader, before: await own(), release: held.release }
}

async function killAt(point: Point, place: 'open' | 'committed'): Promise<void> {
  const old = point === removal ? await growOld() : undefined
  const { leader, before, release } = await leaderAt(point)
  if (place === 'committed') {
    const { committed } = await nextChange()
    await release()
    await committed
  }
  balancer.lose(leader)
  await leader.kill()
  if (place === 'open') await release()
  await (old ? expectRemoved(old) : expectFinished(before))

  await leader.start()
  balancer.regain(leader)
  await expectAgreement()
}

describe('when the process that leads a rotation is killed (SIGKILL)', () => {
  describe.each([
    { step: 'makes the next key', point: lineOf('key.created') },
    { step: 'publishes the next key', point: lineOf('key.published') },
    { step: 'has the next key take over', point: lineOf('key.activated') },
    { step: 'removes a key', point: removal },
  ])('as it $step', ({ point }) => {
    test('before it commits, another process takes the step and all agree afterwards', () => killAt(point, 'open'))
    test('just after it commits, another process continues and all agree afterwards', () => killAt(point, 'committed'))
  })

  test('between the end of one key and the start of the next, a signing key is always in use', () =>
    killAt(takeover, 'open'))

  test('no step is taken twice', async () => {
    const repeated = await fleet.database.query(
      `select type, details ->> 'kid' as kid from audit_events where type like 'key.%' group by 1, 2 having count(*) > 1`,
    )
    expect(repeated).toEqual([])
    for (const { seen } of Object.values(watches)) expect(seen).toBeGreaterThan(0)
  })
})

describe('when the process that leads a rotation hangs (SIGSTOP) in the middle of it', () => {
  test('another process finishes, and the first keeps its outdated keys out of caches until it agrees', async () => {
    const { leader, before, release } = await leaderAt(lineOf('key.activated'))
    balancer.lose(leader)
    leader.pause()
    await release() // its transaction is idle now, so PostgreSQL ends it
    const late = publishedBy(leader)
    await expectFinished(before)

    const active = (await own()).find(({ state }) => state === 'active')?.id
    leader.resume()
    const { kids, control } = await late
    if (control !== 'no-store') expect(kids).toContain(active)
    balancer.regain(leader)
    await expectAgreement()
  })
})
