import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { type Fleet, type ServerProcess, startFleet } from '../support/processes.ts'
import type { Page } from '../support/visitor.ts'
import {
  authorizationRequest,
  beginLogout,
  browserAt,
  type Code,
  expectDead,
  expectNoFailures,
  gate,
  getCode,
  hasSession,
  redeem,
  tokensOf,
} from './journey.ts'
import { patienceMs, rounds } from './race.ts'

let fleet: Fleet
let clients: ClientMetadata[]
let email: string
let accountId: string

beforeAll(async () => {
  fleet = await startFleet()
  clients = await Promise.all(Array.from({ length: 6 }, () => fleet.createClient()))
})
afterAll(() => fleet?.stop())

let accounts = 0
beforeEach(async () => {
  email = `person${++accounts}@example.com`
  accountId = await fleet.createAccount(email)
})

const either = (index: number): ServerProcess => fleet.processes[index % 2] ?? fleet.processes[0]

describe('OpenID Connect Core §3.1.2: tabs of one browser that return to their relying parties at once', () => {
  for (const [where, serverOf] of [
    ['through two processes', either],
    ['through one process', () => either(0)],
  ] as const) {
    test(`share one session and are both signed out by one logout after they consent, ${where}`, {
      timeout: patienceMs,
    }, async () => {
      const [first, second] = clients as [ClientMetadata, ClientMetadata]
      for (let round = 0; round < rounds; round++) {
        const browser = browserAt(either(round))
        await getCode(browser, first, { email })
        const resume = gate(/^\/oauth\/authorize\/./, 2)
        const tabs = await Promise.all(
          [first, second].map(async (client, index) => {
            const server = serverOf(index)
            const tab = browserAt({ ...server, fetch: resume.through(server.fetch) }, browser.cookies)
            const { path, verifier } = authorizationRequest(client, { prompt: 'consent' })
            return { client, tab, consent: await tab.get(path), verifier }
          }),
        )
        const returning = tabs.map(({ tab, consent }) => tab.allow(consent))
        await resume.arrived(returning)
        resume.open()
        const pages = await Promise.all(returning)

        const codes = pages.map((page, index) => codeOf(page, tabs[index]?.verifier))
        await expectOneSession([first, second])
        const accessTokens = await redeemAll([first, second], codes)
        expect(await hasSession(browser, first)).toBe(true)
        await (await beginLogout(browser))()
        await expectDead(fleet, first, { accessTokens: accessTokens.slice(0, 1), refreshTokens: [] })
        await expectDead(fleet, second, { accessTokens: accessTokens.slice(1), refreshTokens: [] })
        expect(await hasSession(browser, first)).toBe(false)
        expect(await liveSessions()).toEqual([])
      }
      expectNoFailures(fleet)
    })

    test(`are all known to the session when six of them return, already signed in, ${where}`, {
      timeout: patienceMs,
    }, async () => {
      for (let round = 0; round < rounds; round++) {
        const browser = browserAt(either(round))
        await getCode(browser, clients[0] as ClientMetadata, { email })
        const requests = clients.map((client) => authorizationRequest(client))
        // In the first round, consent is given to one client after the other, so that no page comes up in the race.
        if (round === 0) for (const client of clients) await getCode(browser, client, { email })
        const pages = await Promise.all(
          requests.map(({ path }, index) => browserAt(serverOf(index), browser.cookies).get(path)),
        )
        const codes = pages.map((page, index) => codeOf(page, requests[index]?.verifier))
        await expectOneSession(clients)
        const accessTokens = await redeemAll(clients, codes)
        await (await beginLogout(browser))()
        for (const [index, client] of clients.entries()) {
          await expectDead(fleet, client, { accessTokens: accessTokens.slice(index, index + 1), refreshTokens: [] })
        }
        expect(await liveSessions()).toEqual([])
      }
      expectNoFailures(fleet)
    })
  }

  test('leave one session to sign out of after a sign-in in each of two tabs', { timeout: patienceMs }, async () => {
    const [first, second] = clients as [ClientMetadata, ClientMetadata]
    for (const client of [first, second]) await getCode(browserAt(either(0)), client, { email }) // remembers consent
    for (let round = 0; round < rounds; round++) {
      const resume = gate(/^\/oauth\/authorize\/./, 2)
      const browser = browserAt(either(round))
      const tabs = await Promise.all(
        [first, second].map(async (client, index) => {
          const server = either(index)
          const tab = browserAt({ ...server, fetch: resume.through(server.fetch) }, browser.cookies)
          const { path, verifier } = authorizationRequest(client)
          return { tab, page: await tab.get(path), verifier }
        }),
      )
      const returning = tabs.map(({ tab, page }) => tab.signIn(page, email))
      await resume.arrived(returning)
      resume.open()
      const codes = (await Promise.all(returning)).map((page, index) => codeOf(page, tabs[index]?.verifier))
      const accessTokens = await redeemAll([first, second], codes)
      expect(accessTokens).toHaveLength(2)
      await (await beginLogout(browser))()
      expect(await hasSession(browser, first)).toBe(false)
    }
    expectNoFailures(fleet)
  })
})

function codeOf({ status, url }: Page, verifier: string | undefined): Code {
  expect(status).toBe(303)
  return { code: String(new URL(url).searchParams.get('code')), verifier: String(verifier) }
}

function redeemAll(parties: ClientMetadata[], codes: Code[]): Promise<string[]> {
  return Promise.all(
    parties.map(async (client, index) => {
      const answer = await redeem(either(index), client, codes[index] as Code)
      expect(answer).toMatchObject({ status: 200 })
      return tokensOf(answer).accessToken
    }),
  )
}

function liveSessions(): Promise<Record<string, unknown>[]> {
  return fleet.database.query(
    'select uid, authorizations from sessions where account_id = $1 and destroyed_at is null',
    [accountId],
  )
}

async function expectOneSession(parties: ClientMetadata[]): Promise<void> {
  const sessions = await liveSessions()
  expect(sessions).toHaveLength(1)
  const known = Object.keys(sessions[0]?.['authorizations'] as object)
  for (const { client_id } of parties) expect(known).toContain(client_id)
}
