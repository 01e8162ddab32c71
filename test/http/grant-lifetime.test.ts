import * as oidc from 'openid-client'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, login, refusal } from '../support/relying-party.ts'

let postern: TestPostern

const email = 'ada@example.com'
const dayMs = 86_400_000

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email, { name: 'Ada Lovelace' })
})
afterAll(() => postern?.stop())
afterEach(() => {
  vi.useRealTimers()
})

/** Moves the app's clock, which is the only one that counts. */
function travel(days: number): void {
  const now = Date.now()
  vi.useFakeTimers({ toFake: ['Date'], now: now + days * dayMs })
}

describe('a login kept alive by refresh tokens', () => {
  test('works for a year of use, and its consent does not expire before', async () => {
    const { config, tokens } = await login(postern, await postern.createClient(), {
      email,
      scope: 'openid profile offline_access',
    })
    let { refresh_token: refreshToken } = tokens
    for (let day = 0; day + 13 < 365; day += 13) {
      travel(13)
      const refreshed = await oidc.refreshTokenGrant(config, String(refreshToken))
      refreshToken = refreshed.refresh_token
      const userinfo = await oidc.fetchUserInfo(config, refreshed.access_token, oidc.skipSubjectCheck)
      expect(userinfo).toMatchObject({ name: 'Ada Lovelace' })
    }
    travel(2)
    expect(await refusal(oidc.refreshTokenGrant(config, String(refreshToken)))).toMatchObject({
      error: 'invalid_grant',
      status: 400,
    })
  })

  test('ends after two weeks without use', async () => {
    const { config, tokens } = await login(postern, await postern.createClient(), {
      email,
      scope: 'openid offline_access',
    })
    travel(15)
    expect(await refusal(oidc.refreshTokenGrant(config, String(tokens.refresh_token)))).toMatchObject({
      error: 'invalid_grant',
    })
  })
})

describe('a consent', () => {
  test('is remembered for longer than a login can last, and renewed by every login', async () => {
    const client = await postern.createClient()
    const { config, visitor } = await login(postern, client, { email, scope: 'openid profile' })
    for (const days of [200, 200, 200]) {
      travel(days)
      const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, scope: 'openid profile' })
      expect((await visitor.signIn(page, email)).url).toContain('code=') // the session has ended, but not the consent
    }
    travel(500)
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, scope: 'openid profile' })
    expect((await visitor.signIn(page, email)).body).toContain('asks for access to your account')
  })
})
