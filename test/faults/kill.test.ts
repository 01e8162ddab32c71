import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { isActive, login, redeem, refresh, tokensOf } from '../concurrency/journey.ts'
import { type Fleet, startFleet } from '../support/processes.ts'

const email = 'ada@example.com'
const logins = 6
let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet({}, 1)
  await fleet.createAccount(email)
})
afterAll(() => fleet?.stop())

type Received = { client: ClientMetadata; access: string[]; latestRefresh: string }

/** Refreshes repeatedly, and keeps the tokens received, until the server is gone. */
async function refreshOnAndOn(received: Received, onAnswer: () => void): Promise<void> {
  const [server] = fleet.processes
  for (;;) {
    const answer = await refresh(server, received.client, received.latestRefresh).catch(() => undefined)
    if (!answer) return
    expect(answer.status).toBe(200)
    const { accessToken, refreshToken } = tokensOf(answer)
    received.access.push(accessToken)
    received.latestRefresh = String(refreshToken)
    onAnswer()
  }
}

describe('a server that is killed (SIGKILL) under load and started again on the same database', () => {
  test.each([20, 45, 70])('has lost no token that it sent when it is killed after %i answers', async (answers) => {
    const [server] = fleet.processes
    const everyone: Received[] = []
    for (let count = 0; count < logins; count++) {
      const client = await fleet.createClient()
      const { accessToken, refreshToken } = await login(server, client, { email })
      everyone.push({ client, access: [accessToken], latestRefresh: refreshToken })
    }
    const idle = await fleet.createClient()
    const waiting = await login(server, idle, { email })

    let seen = 0
    const enough = Promise.withResolvers<void>()
    const load = everyone.map((received) =>
      refreshOnAndOn(received, () => {
        seen += 1
        if (seen === answers) enough.resolve()
      }),
    )
    await Promise.race([enough.promise, Promise.all(load)])
    await server.kill()
    await Promise.all(load)
    expect(seen).toBeGreaterThanOrEqual(answers)
    await server.start()

    for (const { client, access, latestRefresh } of everyone) {
      for (const token of access) expect(await isActive(server, client, token)).toBe(true)
      // The exchange may be done and its answer lost with the process. Only then is the token used.
      const wasExchanged = await isUsed(latestRefresh)
      const answer = await refresh(server, client, latestRefresh)
      expect(answer.status).toBe(wasExchanged ? 400 : 200)
    }
    expect(await isActive(server, idle, waiting.refreshToken)).toBe(true)
    expect((await refresh(server, idle, waiting.refreshToken)).status).toBe(200)
    expect((await redeem(server, idle, waiting.code)).error).toBe('invalid_grant')
  })
})

/** Tells whether a refresh token was exchanged, according to the database. */
async function isUsed(refreshToken: string): Promise<boolean> {
  const [row] = await fleet.database.query(
    `select consumed_at is not null as used from artifacts where model = 'RefreshToken' and id_hash = sha256($1::bytea)`,
    [Buffer.from(refreshToken)],
  )
  return row?.['used'] === true
}
