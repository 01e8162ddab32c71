import * as oidc from 'openid-client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { idTokenMetadata } from '../support/id-tokens.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createToken, manage, redirect_uris, register, registered, updated } from '../support/registration.ts'
import { login } from '../support/relying-party.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const perAddress = 3
const perHour = 7
const hourMs = 3_600_000
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern({
    OPEN_REGISTRATION: 'true',
    OPEN_REGISTRATIONS_PER_HOUR: String(perHour),
    OPEN_REGISTRATIONS_PER_ADDRESS_PER_HOUR: String(perAddress),
    TRUSTED_PROXIES: '127.0.0.1,::1',
  })
  await postern.createAccount(email)
})
beforeEach(() => postern.database.query('delete from throttles'))
afterEach(() => vi.useRealTimers())
afterAll(() => postern?.stop())

const open = (body: unknown = { redirect_uris }, address = '192.0.2.1') =>
  send(postern, '/oauth/register', { body, headers: { 'x-forwarded-for': address } })

describe('RFC 7591 §3: open registration', () => {
  test('is off by default', async () => {
    const closed = await startPostern()
    try {
      const { status, headers, json } = await register(closed, { redirect_uris })
      expect([status, json['client_id']]).toEqual([401, undefined])
      expect(headers.get('www-authenticate')).toMatch(/^Bearer /)
      expect(await closed.database.query('select 1 from clients where not built_in')).toEqual([])
    } finally {
      await closed.stop()
    }
  })

  test('lets openid-client register without a token and sign in', async () => {
    const config = await oidc.dynamicClientRegistration(
      new URL(postern.issuer),
      { redirect_uris, ...idTokenMetadata },
      undefined,
      {
        execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
      },
    )
    const metadata = config.clientMetadata() as unknown as ClientMetadata
    const { tokens } = await login(postern, metadata, { email, config })
    expect(tokens.id_token).toBeTruthy()
  })

  test('is under the policy for strangers: without APIs, without machines, and with an expiry', async () => {
    const client = await registered(postern, undefined)
    expect(client).toMatchObject({ scope: 'openid profile email offline_access', resources: [] })
    const inDays = (Number(client['client_secret_expires_at']) - Date.now() / 1000) / 86_400
    expect(Math.round(inDays)).toBe(90)
    const [row] = await postern.database.query(
      `select policy, registration_token_id, extract(epoch from expires_at - created_at)::int as lives,
         extract(epoch from unused_expires_at - created_at)::int as waits from clients where id = $1`,
      [client.client_id],
    )
    expect(row).toEqual({ policy: 'open', registration_token_id: null, lives: 90 * 86_400, waits: 3_600 })
    for (const metadata of [{ scope: 'openid read' }, { grant_types: ['client_credentials'] }, { first_party: true }]) {
      const { status, json } = await open({ redirect_uris, ...metadata }, '192.0.2.9')
      expect([metadata, status, json['error']]).toEqual([metadata, 400, 'invalid_client_metadata'])
    }
  })

  test('is recorded as anonymous, and its clients are managed with their tokens like any other', async () => {
    const client = await registered(postern, undefined)
    const [line] = await postern.database.query(`select type, actor, details from audit_events where client_id = $1`, [
      client.client_id,
    ])
    expect(line).toEqual({ type: 'client.registered', actor: 'anonymous', details: { policy: 'open' } })
    expect((await manage(postern, client, 'PUT', { redirect_uris, scope: 'openid read' })).status).toBe(400)
    const next = await updated(postern, client)
    expect((await manage(postern, next, 'DELETE')).status).toBe(204)
  })

  test('is closed to a request with an invalid token', async () => {
    for (const authorization of ['Bearer unknown', 'Bearer undefined', 'Basic eDp5', 'Bearer', '']) {
      const { status, json } = await send(postern, '/oauth/register', {
        body: { redirect_uris },
        headers: { authorization },
      })
      expect([authorization, status >= 400, json['client_id']]).toEqual([authorization, true, undefined])
    }
    expect(await postern.database.query('select 1 from throttles')).toEqual([])
  })

  test('does not affect or count registration with a token, which is under that token’s policy', async () => {
    const token = await createToken(postern)
    for (let index = 0; index <= perAddress; index++) {
      const client = await registered(postern, token)
      const [row] = await postern.database.query('select policy from clients where id = $1', [client.client_id])
      expect(row).toEqual({ policy: 'default' })
    }
  })

  test('reveals no value to register with, neither in answers nor in the log', async () => {
    const before = postern.logged.length
    await registered(postern, undefined)
    const logged = postern.logged.slice(before).join('\n')
    expect(logged).toContain('/oauth/register')
    expect(logged).not.toMatch(/bearer/i)
  })
})

describe('the limit of open registrations', () => {
  const at = (ms: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms })

  test('counts successes and failures by address, until an hour after the first', async () => {
    for (const body of [{ redirect_uris }, { redirect_uris: [] }, 'no object']) await open(body)
    const { status, headers, json } = await open()
    expect([status, json['client_id']]).toEqual([429, undefined])
    const seconds = Number(headers.get('retry-after'))
    expect(seconds).toBeGreaterThan(3_500)
    expect(seconds).toBeLessThanOrEqual(3_600)
    expect(headers.get('cache-control')).toBe('no-store')
    expect((await open({ redirect_uris }, '192.0.2.2')).status).toBe(201)
    at(hourMs + 1_000)
    expect((await open()).status).toBe(201)
  })

  test('counts by network if an address is one of many', async () => {
    for (let host = 1; host <= perAddress; host++) {
      expect((await open({ redirect_uris }, `2001:db8:1:2::${host}`)).status).toBe(201)
    }
    expect((await open({ redirect_uris }, '2001:db8:1:2:ffff::')).status).toBe(429)
    expect((await open({ redirect_uris }, '2001:db8:1:3::1')).status).toBe(201)
  })

  test('counts all addresses together', async () => {
    for (let host = 1; host <= perHour; host++) {
      expect((await open({ redirect_uris }, `198.51.100.${host}`)).status).toBe(201)
    }
    const { status, headers } = await open({ redirect_uris }, '198.51.100.200')
    expect([status, headers.get('retry-after')]).toEqual([429, expect.stringMatching(/^\d+$/)])
  })

  test('counts only successes for all addresses together, so failures from many addresses take nothing from others', async () => {
    for (let host = 1; host <= 5; host++) {
      for (let again = 0; again < perAddress; again++) {
        expect((await open({}, `198.51.100.${host}`)).status).toBe(400)
      }
    }
    expect((await open({ redirect_uris }, '192.0.2.2')).status).toBe(201)
  })

  test('leaves some registrations for networks that have made none', async () => {
    for (let host = 1; host <= 2; host++) {
      for (let again = 0; again < perAddress; again++) {
        expect((await open({ redirect_uris }, `198.51.100.${host}`)).status).toBe(201)
      }
    }
    const first = await open({ redirect_uris }, '2001:db8:1::1')
    expect(first.status).toBe(201)
    const again = await open({ redirect_uris }, '2001:db8:1:2::1')
    expect([again.status, again.json['error'], Number(again.headers.get('retry-after')) > 3_000]).toEqual([
      429,
      'temporarily_unavailable',
      true,
    ])
  })

  test('counts by /56 and /48 too, across their /64 networks', async () => {
    const statuses = []
    for (let site = 0; site < 4 * perAddress + 2; site++) {
      statuses.push((await open({}, `2001:db8:7:${site.toString(16)}00::1`)).status)
    }
    expect(statuses).toEqual([...Array(4 * perAddress).fill(400), 429, 429])
  })

  test('does not count for all addresses what exceeds the limit of one', async () => {
    for (let attempt = 0; attempt < 3 * perHour; attempt++) await open()
    expect((await open({ redirect_uris }, '192.0.2.2')).status).toBe(201)
  })
})
