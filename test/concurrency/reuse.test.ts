import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { type Fleet, startFleet } from '../support/processes.ts'
import {
  call,
  expectDead,
  expectNoFailures,
  isActive,
  login,
  opensUserinfo,
  redeem,
  refresh,
  tokensOf,
} from './journey.ts'

const email = 'ada@example.com'

let fleet: Fleet
let client: ClientMetadata

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.createAccount(email)
  client = await fleet.createClient()
})
afterAll(() => fleet?.stop())

/** Performs a login and refreshes it twice, and returns everything issued in it. */
async function refreshedLogin(app: ClientMetadata) {
  const [one, other] = fleet.processes
  const first = await login(one, app, { email })
  const second = tokensOf(await refresh(other, app, first.refreshToken))
  const third = tokensOf(await refresh(one, app, String(second.refreshToken)))
  return {
    code: first.code,
    rotated: first.refreshToken,
    live: third,
    accessTokens: [first.accessToken, second.accessToken, third.accessToken],
    refreshTokens: [first.refreshToken, second.refreshToken, third.refreshToken].map(String),
  }
}

async function expectAlive(app: ClientMetadata, { live }: Awaited<ReturnType<typeof refreshedLogin>>): Promise<void> {
  for (const server of fleet.processes) {
    expect(await isActive(server, app, live.accessToken)).toBe(true)
    expect(await isActive(server, app, String(live.refreshToken))).toBe(true)
    expect(await opensUserinfo(server, live.accessToken)).toBe(true)
  }
}

/** Lets the time pass within which a repeated refresh token is treated as a retry. */
function outlastReuseWindow(): Promise<unknown> {
  return fleet.database.query(
    `update artifacts set consumed_at = consumed_at - interval '11 seconds' where model = 'RefreshToken'`,
  )
}

async function setGrantTypes({ client_id }: ClientMetadata, grantTypes: string[]): Promise<void> {
  await fleet.database.query(
    `update clients set metadata = jsonb_set(metadata, '{grant_types}', $2), updated_at = now() where id = $1`,
    [client_id, JSON.stringify(grantTypes)],
  )
  await fleet.database.query(`select pg_notify('client_changed', $1)`, [client_id])
}

function reuseEvents(type: string, { client_id }: ClientMetadata) {
  return fleet.database.query(
    `select account_id, grant_id, address, details from audit_events where type = $1 and client_id = $2`,
    [type, client_id],
  )
}

describe('after the processes were restarted', () => {
  test('RFC 6749 §4.1.2: a reused code is rejected, and everything issued from it is revoked', async () => {
    const issued = await refreshedLogin(client)
    const bystander = await refreshedLogin(client)
    await fleet.restart()
    await expectAlive(client, issued)

    expect(await redeem(fleet.processes[1], client, issued.code)).toMatchObject({ status: 400, error: 'invalid_grant' })

    await expectDead(fleet, client, issued)
    await expectAlive(client, bystander)
    const [event] = await reuseEvents('code.reused', client)
    expect(event).toMatchObject({ account_id: expect.any(String), grant_id: expect.any(String) })
  })

  test('RFC 9700 §4.14.2: a reused refresh token is rejected, and its family is revoked', async () => {
    const issued = await refreshedLogin(client)
    const bystander = await refreshedLogin(client)
    await fleet.restart()
    await outlastReuseWindow()
    await expectAlive(client, issued)

    expect(await refresh(fleet.processes[1], client, issued.rotated)).toMatchObject({
      status: 400,
      error: 'invalid_grant',
    })

    await expectDead(fleet, client, issued)
    await expectAlive(client, bystander)
    const [event] = await reuseEvents('refresh_token.reused', client)
    expect(event).toMatchObject({ account_id: expect.any(String), grant_id: expect.any(String) })
  })

  test('a refresh token reused within the reuse window is rejected, and its family keeps working', async () => {
    const app = await fleet.createClient()
    const issued = await refreshedLogin(app)
    await fleet.restart()
    expect(await refresh(fleet.processes[0], app, issued.rotated)).toMatchObject({
      status: 400,
      error: 'invalid_grant',
    })
    await expectAlive(app, issued)
    expect(await reuseEvents('refresh_token.reused', app)).toEqual([])
    expect(await refresh(fleet.processes[1], app, String(issued.live.refreshToken))).toMatchObject({ status: 200 })
  })

  test('a replay is detected even if the processes were killed instead of stopped', async () => {
    const app = await fleet.createClient()
    const issued = await refreshedLogin(app)
    for (const server of fleet.processes) await server.kill()
    for (const server of fleet.processes) await server.start()
    await outlastReuseWindow()
    expect(await refresh(fleet.processes[0], app, issued.rotated)).toMatchObject({
      status: 400,
      error: 'invalid_grant',
    })
    await expectDead(fleet, app, issued)
  })
})

describe('for a client that may no longer refresh', () => {
  test('RFC 6749 §4.1.2: a reused code revokes the refresh tokens too', async () => {
    const app = await fleet.createClient()
    const issued = await refreshedLogin(app)
    await setGrantTypes(app, ['authorization_code'])
    await fleet.restart()
    expect(await redeem(fleet.processes[0], app, issued.code)).toMatchObject({ status: 400, error: 'invalid_grant' })
    expect(await reuseEvents('code.reused', app)).toHaveLength(1)

    await setGrantTypes(app, ['authorization_code', 'refresh_token'])
    await fleet.restart()
    await expectDead(fleet, app, issued)
  })

  test('RFC 7009 §2.1: the revocation of an access token revokes the refresh tokens too', async () => {
    const app = await fleet.createClient()
    const issued = await refreshedLogin(app)
    await setGrantTypes(app, ['authorization_code'])
    await fleet.restart()
    const answer = await call(fleet.processes[0], '/oauth/revoke', {
      client: app,
      form: { token: issued.live.accessToken },
    })
    expect(answer.status).toBe(200)

    await setGrantTypes(app, ['authorization_code', 'refresh_token'])
    await fleet.restart()
    await expectDead(fleet, app, issued)
  })

  test('every refresh token is rejected', async () => {
    const app = await fleet.createClient()
    const issued = await refreshedLogin(app)
    await outlastReuseWindow()
    await setGrantTypes(app, ['authorization_code'])
    await fleet.restart()
    for (const value of issued.refreshTokens) {
      const { status, error } = await refresh(fleet.processes[0], app, value)
      // The engine uses invalid_request for §5.2's unauthorized_client.
      expect({ status, error }).toEqual({ status: 400, error: 'invalid_request' })
    }
  })

  test('no process logs an error', () => expectNoFailures(fleet))
})

describe('settings', () => {
  test('REFRESH_TOKEN_REUSE_WINDOW_SECONDS=0 makes every process treat each second use as a replay', async () => {
    const strict = await startFleet({ REFRESH_TOKEN_REUSE_WINDOW_SECONDS: '0' })
    try {
      await strict.createAccount(email)
      const app = await strict.createClient()
      const first = await login(strict.processes[0], app, { email })
      const second = tokensOf(await refresh(strict.processes[0], app, first.refreshToken))
      expect(await refresh(strict.processes[1], app, first.refreshToken)).toMatchObject({ error: 'invalid_grant' })
      await expectDead(strict, app, {
        accessTokens: [first.accessToken, second.accessToken],
        refreshTokens: [first.refreshToken, String(second.refreshToken)],
      })
    } finally {
      await strict.stop()
    }
  })
})
