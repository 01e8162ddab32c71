import { decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { eventually } from '../support/eventually.ts'
import { type Fleet, startFleet } from '../support/processes.ts'
import { cookieHeaderOf, type Visitor } from '../support/visitor.ts'
import {
  type Answer,
  authorizationRequest,
  beginLogout,
  browserAt,
  call,
  expectDead,
  expectNoFailures,
  getCode,
  hasSession,
  isActive,
  login,
  opensUserinfo,
  type Reachable,
  redeem,
  refresh,
  tokensOf,
} from './journey.ts'

import { count, createTally, overlap, patienceMs, printTable, rounds, settle } from './race.ts'

const api = 'https://api.example/'

let fleet: Fleet
let client: ClientMetadata

beforeAll(async () => {
  fleet = await startFleet()
  client = await fleet.createClient()
})
afterAll(async () => {
  printTable()
  await fleet?.stop()
})

let accounts = 0
async function newAccount(): Promise<string> {
  const email = `person${++accounts}@example.com`
  await fleet.createAccount(email)
  return email
}

/** Refreshes at one process while `other` runs, and returns all tokens that were ever issued. */
async function refreshDuring(
  artifact: ReturnType<typeof createTally>,
  round: number,
  app: ClientMetadata,
  tokens: { accessToken: string; refreshToken: string },
  other: () => Promise<unknown>,
  expected = ['400 invalid_grant'],
): Promise<{ accessTokens: string[]; refreshTokens: string[] }> {
  const server = fleet.processes[round % 2] ?? fleet.processes[0]
  const [answer] = await overlap(round, () => refresh(server, app, tokens.refreshToken), other)
  const { winners, losers } = settle(artifact, [answer])
  for (const loser of losers) expect(expected).toContain(loser)
  const issued = winners.map(tokensOf)
  return {
    accessTokens: [tokens.accessToken, ...issued.map(({ accessToken }) => accessToken)],
    refreshTokens: [tokens.refreshToken, ...issued.map(({ refreshToken }) => String(refreshToken))],
  }
}

/** Sends an authorization request with a browser's cookies, without following redirects. */
function authorizeIn(visitor: Visitor, index: number, path: string): Promise<Answer> {
  const cookie = cookieHeaderOf(visitor)
  return call(other(index), path, { headers: { cookie } })
}

const other = (round: number) => fleet.processes[(round + 1) % 2] ?? fleet.processes[1]

describe('RFC 7009 §2.1: a revocation', () => {
  for (const kind of ['refreshToken', 'accessToken'] as const) {
    test(`of the ${kind === 'refreshToken' ? 'refresh token' : 'access token'} leaves no token of a refresh that it overlaps`, {
      timeout: patienceMs,
    }, async () => {
      const tally = createTally(`refresh ∥ revoke ${kind === 'refreshToken' ? 'RT' : 'AT'}`)
      const email = await newAccount()
      const visitor = browserAt(fleet.processes[0])
      for (let round = 0; round < rounds * 2; round++) {
        const tokens = await login(fleet.processes[0], client, { email, visitor })
        const everything = await refreshDuring(tally, round, client, tokens, async () => {
          const revoked = await call(other(round), '/oauth/revoke', { client, form: { token: tokens[kind] } })
          expect(revoked.status).toBe(200)
        })
        await expectDead(fleet, client, everything)
      }
      expectNoFailures(fleet)
    })
  }

  test('leaves the tokens of another login of the same person valid', async () => {
    const email = await newAccount()
    const kept = await login(fleet.processes[0], client, { email })
    const revoked = await login(fleet.processes[1], client, { email })
    await call(fleet.processes[0], '/oauth/revoke', { client, form: { token: revoked.refreshToken } })
    await expectDead(fleet, client, {
      accessTokens: [revoked.accessToken],
      refreshTokens: [revoked.refreshToken],
    })
    expect(await isActive(fleet.processes[1], client, kept.accessToken)).toBe(true)
    expect(await refresh(fleet.processes[1], client, kept.refreshToken)).toMatchObject({ status: 200 })
  })
})

describe('OpenID Connect RP-Initiated Logout 1.0 §2: a logout', () => {
  test('leaves no token of the session when a redemption overlaps it', { timeout: patienceMs }, async () => {
    const tally = createTally('code → tokens ∥ logout')
    const email = await newAccount()
    for (let round = 0; round < rounds * 2; round++) {
      const visitor = browserAt(other(round))
      const earlier = await login(fleet.processes[0], client, { email, visitor, scope: 'openid' })
      const code = await getCode(visitor, client, { email })
      const logout = await beginLogout(visitor)
      const server = fleet.processes[round % 2] ?? fleet.processes[0]
      const [answer] = await overlap(round, () => redeem(server, client, code), logout)
      const { winners, losers } = settle(tally, [answer])
      for (const loser of losers) expect(loser).toBe('400 invalid_grant')
      await expectDead(fleet, client, {
        accessTokens: [earlier.accessToken, ...winners.map((winner) => tokensOf(winner).accessToken)],
        refreshTokens: [],
      })
      expect(await redeem(server, client, code)).toMatchObject({ status: 400, error: 'invalid_grant' })
    }
    expectNoFailures(fleet)
  })

  test('ends the session and keeps offline access when a refresh overlaps it (OpenID Connect Core §11)', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('refresh ∥ logout, offline')
    const email = await newAccount()
    for (let round = 0; round < rounds; round++) {
      const visitor = browserAt(other(round))
      const bound = await login(fleet.processes[0], client, { email, visitor, scope: 'openid' })
      const offline = await login(fleet.processes[0], client, { email, visitor })
      const logout = await beginLogout(visitor)
      const server = fleet.processes[round % 2] ?? fleet.processes[0]
      const [answer] = await overlap(round, () => refresh(server, client, offline.refreshToken), logout)
      const { winners } = settle(tally, [answer])
      expect(winners).toHaveLength(1)
      const { accessToken, refreshToken } = tokensOf(answer)
      await expectDead(fleet, client, { accessTokens: [bound.accessToken], refreshTokens: [] })
      expect(await opensUserinfo(other(round), accessToken)).toBe(true)
      expect(await refresh(other(round), client, String(refreshToken))).toMatchObject({ status: 200 })
      expect(await hasSession(visitor, client)).toBe(false)
      count(tally.afterwards, 'session and its tokens dead, offline ones alive')
    }
    expectNoFailures(fleet)
  })
})

// The client is gone, or its token is: a process may notice either first.
const refusals = ['400 invalid_grant', '401 invalid_client']

describe('when a refresh or a request overlaps an administrator’s change', () => {
  test('a disabled account keeps no token or session, even after it is enabled again', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('refresh ∥ account disable')
    const email = await newAccount()
    for (let round = 0; round < rounds; round++) {
      const tokens = await login(fleet.processes[0], client, { email })
      const everything = await refreshDuring(tally, round, client, tokens, () =>
        fleet.operate('account disable', { account: email }),
      )
      await expectDead(fleet, client, everything)
      expect(await hasSession(tokens.visitor, client)).toBe(false)
      await fleet.operate('account enable', { account: email })
      await expectDead(fleet, client, everything)
      expect(await hasSession(tokens.visitor, client)).toBe(false)
    }
    expectNoFailures(fleet)
  })

  test('an account that is disabled while its browser authorizes keeps no session and no working code', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('authorize ∥ account disable')
    const email = await newAccount()
    for (let round = 0; round < rounds * 2; round++) {
      const visitor = browserAt(other(round))
      await login(fleet.processes[0], client, { email, visitor, scope: 'openid' })
      const requests = Array.from({ length: 6 }, () => authorizationRequest(client))
      const [answers] = await overlap(
        round,
        () => Promise.all(requests.map(({ path }, index) => authorizeIn(visitor, index, path))),
        () => fleet.operate('account disable', { account: email }),
      )
      const { winners } = settle(tally, answers, ({ location }) => location?.searchParams.has('code') === true)
      expect(await hasSession(visitor, client)).toBe(false)
      for (const { location } of winners) {
        const index = answers.findIndex((answer) => answer.location === location)
        const code = { code: String(location?.searchParams.get('code')), verifier: String(requests[index]?.verifier) }
        expect(await redeem(other(round), client, code)).toMatchObject({ status: 400, error: 'invalid_grant' })
      }
      await fleet.operate('account enable', { account: email })
      expect(await hasSession(visitor, client)).toBe(false)
    }
    expect(tally.serverErrors).toBe(0)
    expectNoFailures(fleet)
  })

  test('a deleted client keeps no token, neither for itself nor for an API', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('refresh ∥ client delete')
    const email = await newAccount()
    const server = await fleet.createClient({
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
    })
    await fleet.operate('resource create', { identifier: api, scopes: { read: 'Read' }, client_id: server.client_id })
    const visitor = browserAt(fleet.processes[0])
    for (let round = 0; round < rounds; round++) {
      const app = await fleet.createClient()
      const tokens = await login(fleet.processes[0], app, {
        email,
        visitor,
        scope: 'openid offline_access read',
        resource: api,
      })
      expect(await isActive(fleet.processes[1], server, tokens.accessToken)).toBe(true)
      const everything = await refreshDuring(
        tally,
        round,
        app,
        tokens,
        () => fleet.operate('client delete', { client_id: app.client_id }),
        refusals,
      )
      for (const process of fleet.processes) {
        for (const value of [...everything.accessTokens, ...everything.refreshTokens]) {
          expect(await isActive(process, server, value)).toBe(false)
        }
        for (const value of everything.accessTokens) expect(await opensUserinfo(process, value)).toBe(false)
        for (const value of everything.refreshTokens) {
          const { status, error } = await refresh(process, app, value)
          expect(refusals).toContain(`${status} ${error}`)
        }
      }
      const left = await fleet.database.query('select model from artifacts where client_id = $1', [app.client_id])
      expect(left).toEqual([])
      expect(await fleet.database.query('select 1 from grants where client_id = $1', [app.client_id])).toEqual([])
    }
    expectNoFailures(fleet)
  })

  test('the tokens of a disabled client stop working', { timeout: patienceMs }, async () => {
    const tally = createTally('refresh ∥ client disable')
    const email = await newAccount()
    const visitor = browserAt(fleet.processes[0])
    for (let round = 0; round < rounds; round++) {
      const app = await fleet.createClient()
      const tokens = await login(fleet.processes[0], app, { email, visitor })
      const everything = await refreshDuring(
        tally,
        round,
        app,
        tokens,
        () => fleet.operate('client disable', { client_id: app.client_id }),
        refusals,
      )
      for (const process of fleet.processes) {
        for (const value of everything.accessTokens) expect(await opensUserinfo(process, value)).toBe(false)
        for (const value of everything.refreshTokens) {
          const { status, error } = await refresh(process, app, value)
          expect(refusals).toContain(`${status} ${error}`)
        }
      }
    }
    expectNoFailures(fleet)
  })
})

test('a revoked signing key signs nothing more at any process, and none publishes it', async () => {
  const email = await newAccount()
  const logins = await Promise.all(fleet.processes.map((server) => login(server, client, { email })))
  const kids: string[] = []
  const refreshed = fleet.processes.map((server, index) => {
    let { refreshToken } = logins[index] as { refreshToken: string }
    return async () => {
      const answer = await refresh(server, client, refreshToken)
      refreshToken = String(tokensOf(answer).refreshToken)
      return String(decodeProtectedHeader(String(answer.json['id_token'])).kid)
    }
  })
  for (const kidAt of refreshed) kids.push(await kidAt())
  expect(new Set(kids).size).toBe(1)
  const [kid = ''] = kids
  await fleet.operate('keys revoke', { kid })
  for (const [index, kidAt] of refreshed.entries()) {
    await eventually(async () => expect(await kidAt()).not.toBe(kid))
    expect((await call(fleet.processes[index] as Reachable, '/oauth/jwks')).text).not.toContain(kid)
  }
  expectNoFailures(fleet)
})
