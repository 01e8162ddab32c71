import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { type Fleet, type ServerProcess, startFleet } from '../support/processes.ts'
import type { Page } from '../support/visitor.ts'
import {
  type Answer,
  authorizationRequest,
  beginLogout,
  browserAt,
  call,
  expectDead,
  expectNoFailures,
  gate,
  getCode,
  hasSession,
  redeem,
  refresh,
  snapshot,
  token,
  tokensOf,
} from './journey.ts'
import { createTally, overlap, patienceMs, printTable, race, rounds, settle } from './race.ts'

const email = 'ada@example.com'

let fleet: Fleet
let client: ClientMetadata

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.createAccount(email)
  client = await fleet.createClient()
})
afterAll(async () => {
  printTable()
  await fleet?.stop()
})

const either = (index: number): ServerProcess => fleet.processes[index % 2] ?? fleet.processes[0]

describe('OpenID Connect RP-Initiated Logout 1.0 §2: a session that ended', () => {
  test('does not return through requests with prompt=none that were on their way', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('prompt=none ∥ logout')
    for (let round = 0; round < rounds; round++) {
      const visitor = browserAt(either(round))
      await getCode(visitor, client, { email })
      const logout = await beginLogout(visitor)
      const cookies = snapshot(visitor)
      const requests = Array.from({ length: 8 }, () => authorizationRequest(client, { prompt: 'none' }))
      const tabs = requests.map((_, index) => browserAt(either(index), new Map(cookies)))
      const [pages, ended] = await overlap(
        round,
        () => Promise.all(tabs.map((tab, index) => tab.get(String(requests[index]?.path)))),
        logout,
      )

      expect(ended.status).toBe(200)
      const answers = pages.map(asAnswer)
      const { winners, losers } = settle(tally, answers, ({ location }) => location?.searchParams.has('code') === true)
      for (const loser of losers) expect(loser).toBe('303 login_required')
      for (const { location } of winners) {
        const index = answers.findIndex((answer) => answer.location === location)
        const verifier = String(requests[index]?.verifier)
        const code = String(location?.searchParams.get('code'))
        expect(await redeem(either(index), client, { code, verifier })).toMatchObject({ error: 'invalid_grant' })
      }
      for (const known of [cookies, visitor.cookies, ...tabs.map((tab) => tab.cookies)]) {
        expect(await hasSession(browserAt(either(round + 1), new Map(known)), client)).toBe(false)
      }
    }
    expectNoFailures(fleet)
  })
})

describe('an interaction', () => {
  test('is answered once even if its form is sent again while the first answer takes effect', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('resume ∥ second submit')
    for (let round = 0; round < rounds; round++) {
      const browser = browserAt(either(round))
      await getCode(browser, client, { email })
      const consent = await browser.get(authorizationRequest(client, { prompt: 'consent' }).path)
      const cookies = snapshot(browser)
      const resume = gate(/^\/oauth\/authorize\/./, 1)
      const first = browserAt({ ...either(round), fetch: resume.through(either(round).fetch) }, new Map(cookies))
      const second = browserAt(either(round + 1), new Map(cookies))

      const submitted = first.allow(consent)
      await resume.arrived([submitted])
      const pages = await overlap(
        round,
        () => {
          resume.open()
          return submitted
        },
        () => second.allow(consent),
      )
      const answers = pages.map(asAnswer)
      const { winners, losers } = settle(tally, answers, ({ location }) => location?.searchParams.has('code') === true)
      expect(winners).toHaveLength(1)
      for (const loser of losers) expect(['400 a page', '409 a page']).toContain(loser)

      const third = await browserAt(either(round), new Map(cookies)).allow(consent)
      expect(third.status).toBe(409)
      const path = new URL(consent.url).pathname.replace('/interaction/', '/oauth/authorize/')
      expect((await browserAt(either(round), new Map(cookies)).get(path)).status).toBe(409)
    }
    expectNoFailures(fleet)
  })

  test('is answered once even if the browser returns with the answer several times at once', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('resume ∥ resume')
    for (let round = 0; round < rounds; round++) {
      const app = await fleet.createClient()
      const browser = browserAt(either(round))
      await getCode(browser, client, { email })
      const consent = await browser.get(authorizationRequest(app).path)
      const cookies = snapshot(browser)
      const resume = gate(/^\/oauth\/authorize\/./, 1)
      const first = browserAt({ ...either(round), fetch: resume.through(either(round).fetch) }, new Map(cookies))
      const submitted = first.allow(consent)
      await resume.arrived([submitted])
      resume.open()
      const path = new URL(consent.url).pathname.replace('/interaction/', '/oauth/authorize/')
      const again = Array.from({ length: 9 }, (_, index) => browserAt(either(index), new Map(cookies)).get(path))
      const answers = (await Promise.all([submitted, ...again])).map(asAnswer)
      const { winners, losers } = settle(tally, answers, ({ location }) => location?.searchParams.has('code') === true)
      expect(winners).toHaveLength(1)
      for (const loser of losers) expect(['400 a page', '409 a page']).toContain(loser)
      const codes = await fleet.database.query(
        `select 1 from artifacts where model = 'AuthorizationCode' and client_id = $1`,
        [app.client_id],
      )
      expect(codes).toHaveLength(1)
    }
    expectNoFailures(fleet)
  })
})

describe('RFC 7592: when changes race', () => {
  test('§2.2: one of fifty updates at once succeeds, and one registration access token remains', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('client PUT, one RAT')
    for (let round = 0; round < Math.ceil(rounds / 2); round++) {
      const registered = await register()
      const { winners, losers } = settle(tally, await race(fleet, (server) => update(server, registered)))
      expect(winners).toHaveLength(1)
      expect(new Set(losers)).toEqual(new Set(['401 invalid_token']))
      const next = winners[0]?.json['registration_access_token']
      expect(await read(either(round), registered, String(next))).toMatchObject({ status: 200 })
      expect(await read(either(round), registered)).toMatchObject({ status: 401, error: 'invalid_token' })
      const live = await fleet.database.query(
        `select 1 from artifacts where model = 'RegistrationAccessToken' and client_id = $1`,
        [registered.client_id],
      )
      expect(live).toHaveLength(1)
    }
    expectNoFailures(fleet)
  })

  test('§2.3: either a deletion or an update succeeds, never both', { timeout: patienceMs }, async () => {
    const tally = createTally('client DELETE ∥ PUT')
    for (let round = 0; round < rounds * 2; round++) {
      const registered = await register()
      const [removed, updated] = await overlap(
        round,
        () => remove(either(round), registered),
        () => update(either(round + 1), registered),
      )
      const { winners, losers } = settle(tally, [removed, updated], ({ status }) => status < 300)
      expect(winners).toHaveLength(1)
      expect(losers).toEqual(['401 invalid_token'])
      if (updated.status === 200) {
        const renewed = { ...registered, registration_access_token: updated.json['registration_access_token'] }
        expect(await remove(either(round), renewed)).toMatchObject({ status: 204 })
      }
      await expectGone(registered, [updated])
    }
    expectNoFailures(fleet)
  })

  test('a deletion by an administrator holds against a simultaneous update', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('operator deletes ∥ PUT')
    for (let round = 0; round < rounds * 2; round++) {
      const registered = await register()
      const [, updated] = await overlap(
        round,
        () => fleet.operate('client delete', { client_id: registered.client_id }),
        () => update(either(round), registered),
      )
      const { losers } = settle(tally, [updated])
      for (const loser of losers) expect(loser).toBe('401 invalid_token')
      await expectGone(registered, [updated])
    }
    expectNoFailures(fleet)
  })

  test('a client that is deleted while it refreshes keeps no tokens', { timeout: patienceMs }, async () => {
    const visitor = browserAt(fleet.processes[0])
    for (let round = 0; round < Math.ceil(rounds / 2); round++) {
      const registered = await register()
      const code = await getCode(visitor, registered, { email, scope: 'openid offline_access' })
      const tokens = tokensOf(await redeem(either(round), registered, code))
      const everything = { accessTokens: [tokens.accessToken], refreshTokens: [String(tokens.refreshToken)] }
      const [answer] = await overlap(
        round,
        () => refresh(either(round), registered, String(tokens.refreshToken)),
        () => remove(either(round + 1), registered),
      )
      if (answer.status === 200) everything.accessTokens.push(tokensOf(answer).accessToken)
      else expect(['invalid_grant', 'invalid_client']).toContain(answer.error)
      const left = await fleet.database.query('select 1 from artifacts where client_id = $1', [registered.client_id])
      expect(left).toEqual([])
      await expectDead(fleet, client, { accessTokens: everything.accessTokens, refreshTokens: [] })
    }
    expectNoFailures(fleet)
  })
})

/** Turns a page into an answer: a redirect back to the relying party, or a page of the provider. */
function asAnswer({ status, url }: Page): Answer {
  const location = new URL(url)
  return { status, error: location.searchParams.get('error') ?? undefined, json: {}, location, text: '' }
}

type Registered = ClientMetadata

async function register(): Promise<Registered> {
  const { initial_access_token: initial } = await fleet.operate('registration-token create', {})
  const { json, status } = await call(fleet.processes[0], '/oauth/register', {
    token: String(initial),
    json: {
      client_name: 'Self-made app',
      redirect_uris: ['https://rp.example/cb'],
      grant_types: ['authorization_code', 'refresh_token'],
    },
  })
  expect(status).toBe(201)
  return json as Registered
}

const managementPath = ({ client_id }: Registered) => `/oauth/register/${client_id}`
const managementToken = (registered: Registered) => String(registered['registration_access_token'])

function update(server: ServerProcess, registered: Registered): Promise<Answer> {
  const { client_id, client_secret, redirect_uris, grant_types } = registered
  return call(server, managementPath(registered), {
    method: 'PUT',
    token: managementToken(registered),
    json: { client_id, client_secret, redirect_uris, grant_types, client_name: 'Renamed app' },
  })
}

function remove(server: ServerProcess, registered: Registered): Promise<Answer> {
  return call(server, managementPath(registered), { method: 'DELETE', token: managementToken(registered) })
}

function read(server: ServerProcess, registered: Registered, value = managementToken(registered)): Promise<Answer> {
  return call(server, managementPath(registered), { token: value })
}

/** Asserts that a client is deleted permanently: neither it nor any registration access token works at any process. */
async function expectGone(registered: Registered, updates: Answer[]): Promise<void> {
  const renewed = updates.flatMap(({ json }) => json['registration_access_token'] ?? [])
  for (const server of fleet.processes) {
    for (const value of [managementToken(registered), ...renewed.map(String)]) {
      expect(await read(server, registered, value)).toMatchObject({ status: 401, error: 'invalid_token' })
    }
    expect(await token(server, registered, { grant_type: 'refresh_token', refresh_token: 'x' })).toMatchObject({
      status: 401,
      error: 'invalid_client',
    })
  }
}
