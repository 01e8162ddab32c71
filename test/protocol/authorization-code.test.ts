import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'

let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com', { name: 'Ada Lovelace' })
})
afterAll(() => postern?.stop())

describe('OpenID Connect Core §3.1: the authorization code flow', () => {
  test('gives tokens, and of the claims only those consented to', async () => {
    const client = await postern.createClient()
    const { config, tokens } = await login(postern, client, {
      email: 'ada@example.com',
      scope: 'openid profile email offline_access',
      scopes: ['profile', 'offline_access'],
    })
    const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, String(tokens.claims()?.sub))
    expect(userinfo).toMatchObject({ name: 'Ada Lovelace' })
    expect(userinfo).not.toHaveProperty('email')
    const refreshed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
    expect(refreshed.refresh_token).not.toBe(tokens.refresh_token)
  })
})
