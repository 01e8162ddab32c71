import { setTimeout as sleep } from 'node:timers/promises'
import { decodeProtectedHeader } from 'jose'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients.ts'
import * as keys from '../../src/stores/keys.ts'
import { authorizationRequest, browserAt, getCode, login, redeem, refresh, token } from '../concurrency/journey.ts'
import { createCachingRelyingParty } from '../support/caching-relying-party.ts'
import { type Fetch, type Fleet, type ServerProcess, startFleet } from '../support/processes.ts'
import type { Visitor } from '../support/visitor.ts'
import { hold, type Point } from './hold.ts'

const email = 'ada@example.com'
const api = 'https://api.example/'
const purpose = 'ES256'
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const
const cacheSeconds = 1
const patience = { timeout: 30_000, interval: 50 }

let fleet: Fleet
let machine: ClientMetadata
let browser: Visitor
let clients: { alg: string; client: ClientMetadata; refreshToken: string }[]
let background: Promise<unknown>
const wrongs: string[] = []
const counts = { snapshots: 0, verified: 0 }
let isOver = false

beforeAll(async () => {
  fleet = await startFleet({ KEY_ROTATION_SECONDS: '2', JWKS_CACHE_SECONDS: String(cacheSeconds) })
  // Nine of the ten seconds that a new key waits until every process has it go by at once: these hear of it at once.
  await fleet.database.query(`
    create function pass_time() returns trigger language plpgsql as $$
    begin
      new.created_at := new.created_at - interval '9 seconds';
      return new;
    end $$;
    create trigger pass_time before insert on keys for each row when (new.state = 'pending')
    execute function pass_time()`)
  // RSA keys take long to make: those of the start are used throughout.
  await fleet.database.query(
    `update keys set active_at = active_at + interval '1 hour' where purpose in ('RS256', 'PS256')`,
  )
  await fleet.createAccount(email)
  await fleet.operate('resource create', { identifier: api, scopes: { read: 'Read' }, token_format: 'jwt' })
  machine = await fleet.createClient({
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'read',
  })
  clients = []
  browser = browserAt({ issuer: fleet.issuer, fetch: throughTheLiving() })
  for (const alg of algorithms) {
    const client = await fleet.createClient({ id_token_signed_response_alg: alg })
    await getCode(browser, client, { email })
    const { refreshToken } = await login(fleet.processes[0], client, { email })
    clients.push({ alg, client, refreshToken })
  }
  background = Promise.all([checkDatabase(), verifyTokens()])
})
afterEach(() => expect(wrongs).toEqual([]))
afterAll(async () => {
  isOver = true
  await background
  console.log(`${counts.snapshots} snapshots of the keys, ${counts.verified} tokens verified`)
  await fleet?.stop()
})

/** Looks at the keys all the time: of each purpose exactly one is used, and at most one is next. */
async function checkDatabase(): Promise<void> {
  const client = new pg.Client({ connectionString: fleet.database.url })
  await client.connect()
  while (!isOver) {
    const { rows } = await client.query(
      `select purpose, count(*) filter (where state = 'active')::int as active,
         count(*) filter (where state in ('pending', 'published'))::int as next
       from keys group by purpose`,
    )
    counts.snapshots += 1
    for (const { purpose, active, next } of rows) {
      if (active !== 1 || next > 1) wrongs.push(`${purpose}: ${active} active, ${next} next`)
    }
    await sleep(3)
  }
  await client.end()
}

const ends = new Map<ServerProcess, PromiseWithResolvers<never>>()

/** Ends a process for all who talk to it, as a load balancer does that sees it gone. */
function lose(server: ServerProcess): void {
  const { promise, reject } = ends.get(server) ?? Promise.withResolvers<never>()
  promise.catch(() => {})
  lost.add(server)
  reject(new Error('the process is gone'))
  ends.delete(server)
}

const lost = new Set<ServerProcess>()

/** Sends each request to another process than the one before, as long as there are several, and again if it gets lost. */
function throughTheLiving(): Fetch {
  let count = 0
  const fetch: Fetch = async (input, init) => {
    const living = fleet.processes.filter((server) => !lost.has(server))
    const server = living[count++ % living.length] ?? fleet.processes[0]
    const end = ends.get(server) ?? Promise.withResolvers<never>()
    ends.set(server, end)
    try {
      return await Promise.race([server.fetch(input, init), end.promise])
    } catch (error) {
      if (!lost.has(server)) throw error
      return fetch(input, init)
    }
  }
  return fetch
}

/** Has tokens made and verified all the time. Only what was under way when a process was lost may fail to come. */
async function verifyTokens(): Promise<void> {
  const server = { issuer: fleet.issuer, fetch: throughTheLiving() }
  const relyingParties = [0, 1].map(() =>
    createCachingRelyingParty({ issuer: fleet.issuer, fetch: throughTheLiving(), cacheSeconds }),
  )
  const form = { grant_type: 'client_credentials', scope: 'read', resource: api }
  for (let round = 0; !isOver; round++) {
    const lostBefore = losses
    const { client, alg } = clients[round % clients.length] ?? { client: machine, alg: 'RS256' }
    const received: string[] = []
    try {
      const { json } = await token(server, machine, form)
      received.push(String(json['access_token']))
      const { path, verifier } = authorizationRequest(client)
      const code = new URL((await browser.get(path)).url).searchParams.get('code')
      const answer = await redeem(server, client, { code: String(code), verifier })
      received.push(String(answer.json['id_token']))
      if (answer.status !== 200) throw new Error(answer.text)
    } catch (error) {
      if (lostBefore === losses) wrongs.push(`no ${alg} token came: ${error}`)
    }
    for (const jwt of received.filter((value) => value !== 'undefined')) {
      for (const relyingParty of relyingParties) {
        await relyingParty.verify(jwt).then(
          () => {
            counts.verified += 1
          },
          (error) => wrongs.push(`a token was refused: ${error}`),
        )
      }
    }
    await sleep(50)
  }
}

let losses = 0

async function kill(server: ServerProcess): Promise<void> {
  losses += 1
  lose(server)
  await server.kill()
}

async function startAgain(server: ServerProcess): Promise<void> {
  await server.start()
  lost.delete(server)
}

function processOf(applicationName: string): ServerProcess {
  const found = fleet.processes.find((one) => one.applicationName === applicationName)
  if (!found) throw new Error(`${applicationName} is no process`)
  return found
}

const db = () => fleet.operator.database.db
const own = async () => (await keys.list(db())).filter((key) => key.purpose === purpose)

/** Resolves when keys were changed, by a transaction that ends from now on. */
async function nextChange(): Promise<{ committed: Promise<void> }> {
  const client = new pg.Client({ connectionString: fleet.database.url })
  await client.connect()
  await client.query(`listen ${keys.changedChannel}`)
  const { promise, resolve } = Promise.withResolvers<void>()
  client.on('notification', () => resolve())
  return { committed: promise.finally(() => void client.end()) }
}

/** While nobody can lead: both processes publish the keys in the database, and sign with those that it says. */
async function expectAgreement(): Promise<void> {
  const client = new pg.Client({ connectionString: fleet.database.url })
  await client.connect()
  await client.query(`select pg_advisory_lock(${0x6b657973})`)
  try {
    const all = (await keys.list(db())).filter(({ publicJwk }) => publicJwk)
    const published = all.filter(({ state }) => state !== 'removed').map(({ id }) => id)
    const active = Object.fromEntries(all.filter(({ state }) => state === 'active').map((key) => [key.purpose, key.id]))
    for (const server of fleet.processes) {
      await vi.waitFor(async () => expect((await kidsAt(server)).toSorted()).toEqual(published.toSorted()), patience)
    }
    const [one, other] = await Promise.all(fleet.processes.map((server) => jwksAt(server)))
    expect(one?.text).toBe(other?.text)
    for (const server of fleet.processes) {
      const signedBy: Record<string, string> = {}
      for (const one of clients) {
        const { json } = await refresh(server, one.client, one.refreshToken)
        one.refreshToken = String(json['refresh_token'])
        signedBy[one.alg] = String(decodeProtectedHeader(String(json['id_token'])).kid)
      }
      expect(signedBy).toEqual(active)
    }
  } finally {
    await client.end()
  }
}

async function jwksAt(server: ServerProcess) {
  const response = await server.fetch(`${fleet.issuer}/oauth/jwks`)
  const text = await response.text()
  return { text, control: response.headers.get('cache-control'), status: response.status }
}

async function kidsAt(server: ServerProcess): Promise<string[]> {
  const { keys } = JSON.parse((await jwksAt(server)).text) as { keys: { kid: string }[] }
  return keys.map(({ kid }) => kid)
}

/** Lets the oldest retired key be old enough to be removed. */
async function growOld(): Promise<string> {
  await vi.waitFor(async () => expect((await own()).some(({ state }) => state === 'retired')).toBe(true), patience)
  const [row] = await fleet.database.query(
    `update keys set retired_at = retired_at - interval '2 days' where id =
       (select id from keys where purpose = $1 and state = 'retired' order by retired_at limit 1) returning id`,
    [purpose],
  )
  return String(row?.['id'])
}

const audited = (type: string): Point => ({
  before: 'insert on audit_events',
  when: `new.type = 'key.${type}' and new.details ->> 'purpose' = '${purpose}'`,
})
const removal = audited('removed')
const betweenTwo: Point = {
  before: 'update on keys',
  when: `new.state = 'active' and new.purpose = '${purpose}' and old.state <> 'active'`,
}

const steps: { step: string; at: Point }[] = [
  { step: 'makes the next key', at: audited('created') },
  { step: 'publishes the next key', at: audited('published') },
  { step: 'has the next key take over', at: audited('activated') },
  { step: 'removes a key', at: removal },
]

/** Waits until the rotation that was under way at some moment is over, by whoever is there: there is a next key again. */
async function expectFinished(before: keys.Key[]): Promise<void> {
  const taken = before.filter(({ activeAt }) => activeAt).length
  await vi.waitFor(async () => {
    const now = await own()
    expect(now.filter(({ activeAt }) => activeAt).length).toBeGreaterThan(taken)
    expect(now.some(keys.isNext)).toBe(true)
  }, patience)
}

async function expectRemoved(kid: string): Promise<void> {
  await vi.waitFor(
    async () => expect((await own()).find(({ id }) => id === kid)).toMatchObject({ state: 'removed' }),
    patience,
  )
}

async function killedAt(at: Point, place: 'open' | 'committed'): Promise<void> {
  const old = at === removal ? await growOld() : undefined
  const held = await hold(fleet.database, at)
  const leader = processOf(await held.reached())
  const before = await own()
  if (place === 'committed') {
    const { committed } = await nextChange()
    await held.release()
    await committed
  }
  await kill(leader)
  if (place === 'open') await held.release()
  await (old ? expectRemoved(old) : expectFinished(before))
  await startAgain(leader)
  await expectAgreement()
}
describe('ENGINE R23: the process that leads a rotation is killed (SIGKILL)', () => {
  describe.each(steps)('as it $step', ({ at }) => {
    test('and has not committed: another does it, and both agree afterwards', () => killedAt(at, 'open'))
    test('and has just committed: another goes on, and both agree afterwards', () => killedAt(at, 'committed'))
  })

  test('between the end of one key and the beginning of the next: nobody ever sees none', () =>
    killedAt(betweenTwo, 'open'))

  test('without any step being taken twice', async () => {
    const repeated = await fleet.database.query(
      `select type, details ->> 'kid' as kid, count(*) from audit_events where type like 'key.%'
       group by 1, 2 having count(*) > 1`,
    )
    expect(repeated).toEqual([])
    expect(counts.snapshots).toBeGreaterThan(1_000)
    expect(counts.verified).toBeGreaterThan(100)
  })
})

describe('the process that leads a rotation hangs (SIGSTOP) in the middle of it', () => {
  test('and another finishes it; it then publishes nothing old for others to remember, and agrees again', async () => {
    const held = await hold(fleet.database, audited('activated'))
    const leader = processOf(await held.reached())
    losses += 1
    lose(leader)
    leader.pause()
    const before = await own()
    await held.release()
    const late = jwksAt(leader)
    await expectFinished(before)

    const active = (await own()).find(({ state }) => state === 'active')?.id
    leader.resume()
    const { status, text, control } = await late
    expect(status).toBe(200)
    if (control !== 'no-store') expect(text).toContain(active)
    lost.delete(leader)
    await expectAgreement()
  })
})
