import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { type Fleet, startFleet } from '../support/processes.ts'
import { cookieHeaderOf, type Visitor } from '../support/visitor.ts'
import {
  authorizationRequest,
  browserAt,
  call,
  expectNoFailures,
  getCode,
  isActive,
  login,
  opensUserinfo,
  redeem,
  refresh,
  token,
  tokensOf,
} from './journey.ts'

import { count, createTally, patienceMs, printTable, race, rounds, settle } from './race.ts'

const email = 'ada@example.com'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

let fleet: Fleet
let client: ClientMetadata
let visitor: Visitor // signed in, with consent given

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.createAccount(email)
  client = await fleet.createClient()
  visitor = browserAt(fleet.processes[0])
  await getCode(visitor, client, { email })
})
afterAll(async () => {
  printTable()
  await fleet?.stop()
})

const either = (index: number) => fleet.processes[index % 2] ?? fleet.processes[0]

describe('fifty simultaneous uses at two processes', () => {
  test('redeem an authorization code exactly once (RFC 6749 §4.1.2)', { timeout: patienceMs }, async () => {
    const tally = createTally('authorization code')
    for (let round = 0; round < rounds; round++) {
      const code = await getCode(visitor, client, { email })
      const { winners, losers } = settle(tally, await race(fleet, (server) => redeem(server, client, code)))
      expect(winners).toHaveLength(1)
      expect(new Set(losers)).toEqual(new Set(['400 invalid_grant']))

      // An attempt after the winner is done replays the code, which revokes everything issued from it.
      const { accessToken } = tokensOf(winners[0] as never)
      const states = await Promise.all(fleet.processes.map((server) => isActive(server, client, accessToken)))
      expect(new Set(states).size).toBe(1)
      count(tally.afterwards, states[0] ? 'tokens alive' : 'tokens revoked')
    }
    expect(tally.serverErrors).toBe(0)
  })

  test('redeem a refresh token exactly once, and its successor works (RFC 9700 §4.14.2)', {
    timeout: patienceMs,
  }, async () => {
    const tally = createTally('refresh token')
    let { refreshToken } = await login(fleet.processes[0], client, { email, visitor })
    for (let round = 0; round < rounds; round++) {
      const presented = refreshToken
      const { winners, losers } = settle(tally, await race(fleet, (server) => refresh(server, client, presented)))
      expect(winners).toHaveLength(1)
      expect(new Set(losers)).toEqual(new Set(['400 invalid_grant']))

      const tokens = tokensOf(winners[0] as never)
      expect(await opensUserinfo(either(round), tokens.accessToken)).toBe(true)
      refreshToken = String(tokens.refreshToken) // the next round uses the successor
      expect(await isActive(either(round), client, refreshToken)).toBe(true)
      count(tally.afterwards, 'tokens alive')
    }
    expect(tally.serverErrors).toBe(0)
  })

  test('redeem a device code exactly once (RFC 8628 §3.4)', { timeout: patienceMs }, async () => {
    const tally = createTally('device code')
    const device = await fleet.createClient({ redirect_uris: [], response_types: [], grant_types: [deviceGrant] })
    for (let round = 0; round < rounds; round++) {
      const { json } = await call(either(round), '/oauth/device_authorization', {
        client: device,
        form: { scope: 'openid' },
      })
      await approveDevice(String(json['user_code']))
      const form = { grant_type: deviceGrant, device_code: String(json['device_code']) }
      const { winners, losers } = settle(tally, await race(fleet, (server) => token(server, device, form)))
      expect(winners).toHaveLength(1)
      expect(new Set(losers)).toEqual(new Set(['400 invalid_grant']))

      const { accessToken } = tokensOf(winners[0] as never)
      const states = await Promise.all(fleet.processes.map((server) => isActive(server, device, accessToken)))
      expect(new Set(states).size).toBe(1)
      count(tally.afterwards, states[0] ? 'tokens alive' : 'tokens revoked')
    }
    expect(tally.serverErrors).toBe(0)
  })

  test('use a pushed authorization request exactly once (RFC 9126 §4)', { timeout: patienceMs }, async () => {
    const tally = createTally('pushed request_uri')
    for (let round = 0; round < rounds; round++) {
      const { path } = authorizationRequest(client)
      const form = Object.fromEntries(new URL(path, fleet.issuer).searchParams)
      const { json } = await call(either(round), '/oauth/par', { client, form })
      const query = new URLSearchParams({ client_id: client.client_id, request_uri: String(json['request_uri']) })
      const cookie = cookieHeaderOf(visitor)
      const answers = await race(fleet, (server) => call(server, `/oauth/authorize?${query}`, { headers: { cookie } }))
      const { winners, losers } = settle(tally, answers, ({ location }) => location?.searchParams.has('code') === true)
      expect(winners).toHaveLength(1)
      expect(new Set(losers.map((loser) => loser.split(' ')[1]))).toEqual(new Set(['invalid_request_uri']))
      expect(losers.every((loser) => /^(400|303) /.test(loser))).toBe(true)
    }
    expect(tally.serverErrors).toBe(0)
  })

  test('use a client assertion exactly once (RFC 7523 §3)', { timeout: patienceMs }, async () => {
    const tally = createTally('client assertion')
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const machine = await fleet.createClient({
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] },
    })
    for (let round = 0; round < rounds; round++) {
      const assertion = await new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .setIssuer(machine.client_id)
        .setSubject(machine.client_id)
        .setAudience(fleet.issuer)
        .setIssuedAt()
        .setExpirationTime('60s')
        .sign(privateKey)
      const form = {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      }
      const { winners, losers } = settle(tally, await race(fleet, (server) => token(server, undefined, form)))
      expect(winners).toHaveLength(1)
      expect(new Set(losers)).toEqual(new Set(['401 invalid_client']))
    }
    expect(tally.serverErrors).toBe(0)
  })

  describe('of a DPoP proof (RFC 9449 §11.1)', () => {
    test('succeed exactly once at the token endpoint', { timeout: patienceMs }, async () => {
      const tally = createTally('DPoP proof, token')
      const machine = await fleet.createClient({
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      })
      const prove = await createProver()
      for (let round = 0; round < rounds; round++) {
        const dpop = await prove({ htm: 'POST', htu: `${fleet.issuer}/oauth/token` })
        const { winners, losers } = settle(
          tally,
          await race(fleet, (server) => token(server, machine, { grant_type: 'client_credentials' }, { dpop })),
        )
        expect(winners).toHaveLength(1)
        expect(new Set(losers)).toEqual(new Set(['400 invalid_grant']))
      }
      expect(tally.serverErrors).toBe(0)
    })

    test('succeed exactly once at userinfo', { timeout: patienceMs }, async () => {
      const tally = createTally('DPoP proof, userinfo')
      const prove = await createProver()
      const { code, verifier } = await getCode(visitor, client, { email })
      const dpop = await prove({ htm: 'POST', htu: `${fleet.issuer}/oauth/token` })
      const answer = await token(
        fleet.processes[0],
        client,
        { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: 'https://rp.example/cb' },
        { dpop },
      )
      expect(answer.json).toMatchObject({ token_type: 'DPoP' })
      const { accessToken } = tokensOf(answer)
      for (let round = 0; round < rounds; round++) {
        const proof = await prove({ htm: 'GET', htu: `${fleet.issuer}/oauth/userinfo` }, accessToken)
        const headers = { authorization: `DPoP ${accessToken}`, dpop: proof }
        const { winners, losers } = settle(
          tally,
          await race(fleet, (server) => call(server, '/oauth/userinfo', { headers })),
        )
        expect(winners).toHaveLength(1)
        expect(new Set(losers)).toEqual(new Set(['401 invalid_token']))
      }
      expect(tally.serverErrors).toBe(0)
    })
  })

  test('cause no error at any process', () => expectNoFailures(fleet))
})

describe('RFC 9700 §4.14.2: without a reuse window', () => {
  test('a race for a refresh token leaves one family, intact or revoked, and never a second one', {
    timeout: patienceMs,
  }, async () => {
    const strict = await startFleet({ REFRESH_TOKEN_REUSE_WINDOW_SECONDS: '0' })
    try {
      const tally = createTally('refresh token, window 0')
      await strict.createAccount(email)
      const app = await strict.createClient()
      const browser = browserAt(strict.processes[0])
      for (let round = 0; round < rounds; round++) {
        const { accessToken, refreshToken } = await login(strict.processes[0], app, { email, visitor: browser })
        const { winners, losers } = settle(tally, await race(strict, (server) => refresh(server, app, refreshToken)))
        expect(winners).toHaveLength(1)
        expect(new Set(losers)).toEqual(new Set(['400 invalid_grant']))

        const issued = tokensOf(winners[0] as never)
        const states = await Promise.all(
          [accessToken, issued.accessToken, String(issued.refreshToken)].map((value) =>
            isActive(strict.processes[1], app, value),
          ),
        )
        expect(new Set(states).size).toBe(1)
        const { status } = await refresh(strict.processes[0], app, String(issued.refreshToken))
        expect(status).toBe(states[0] ? 200 : 400)
        count(tally.afterwards, states[0] ? 'tokens alive' : 'tokens revoked')
      }
      expect(tally.serverErrors).toBe(0)
      expectNoFailures(strict)
    } finally {
      await strict.stop()
    }
  })
})

async function approveDevice(userCode: string): Promise<void> {
  const entry = await visitor.submit(await visitor.get('/device'), '/device', { user_code: userCode })
  let page = await visitor.submit(entry, '/device', { user_code: userCode, confirm: 'yes' })
  if (page.url.includes('/interaction/')) page = await visitor.allow(page)
  expect(page.status).toBe(200)
}

/** Creates a function that makes proofs with one key (RFC 9449 §4.2). */
async function createProver(): Promise<(claims: JWTPayload, accessToken?: string) => Promise<string>> {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwk = await exportJWK(publicKey)
  return async (claims, accessToken) => {
    const digest = accessToken && (await crypto.subtle.digest('SHA-256', new TextEncoder().encode(accessToken)))
    return new SignJWT({
      ...claims,
      jti: randomUUID(),
      ...(digest && { ath: Buffer.from(digest).toString('base64url') }),
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .setIssuedAt()
      .sign(privateKey)
  }
}
