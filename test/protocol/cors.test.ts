import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'
import { send } from '../support/wire.ts'

const own = 'https://rp.example'
let postern: TestPostern
let app: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount('ada@example.com')
  app = await postern.createClient({ token_endpoint_auth_method: 'none' })
})
afterAll(() => postern?.stop())

const refresh = (refresh_token: string, origin: string) =>
  send(postern, '/oauth/token', {
    form: { grant_type: 'refresh_token', refresh_token, client_id: app.client_id },
    headers: { origin },
  })

describe('Fetch §3.2 (CORS): who may read an answer in a browser', () => {
  test('the token endpoint allows the origins of the client’s redirect URIs', async () => {
    const { tokens } = await login(postern, app, { email: 'ada@example.com', scope: 'openid offline_access' })
    const foreign = [
      'https://evil.example',
      'http://rp.example',
      'https://rp.example:8443',
      'https://a.rp.example',
      'null',
    ]
    for (const origin of foreign) {
      const { status, json, headers } = await refresh(String(tokens.refresh_token), origin)
      expect([origin, status, json['access_token']]).toEqual([origin, 400, undefined])
      expect([origin, headers.get('access-control-allow-origin')]).toEqual([origin, null])
    }
    const good = await refresh(String(tokens.refresh_token), own)
    expect([good.status, good.headers.get('access-control-allow-origin')]).toEqual([200, own])
  })

  test('no answer allows credentials', async () => {
    for (const path of ['/oauth/token', '/oauth/userinfo', '/oauth/jwks', '/.well-known/openid-configuration', '/']) {
      const { headers } = await send(postern, path, { headers: { origin: own } })
      expect([path, headers.get('access-control-allow-credentials')]).toEqual([path, null])
    }
  })

  test.each([
    ['/oauth/introspect', 401], // a public client cannot introspect
    ['/oauth/revoke', 400],
    ['/oauth/par', 400],
    ['/oauth/device_authorization', 400],
  ])('%s allows no other origin either', async (path, expected) => {
    const { headers, status } = await send(postern, path, {
      form: { token: 'x', client_id: app.client_id },
      headers: { origin: 'https://evil.example' },
    })
    expect([status, headers.get('access-control-allow-origin')]).toEqual([expected, null])
  })

  test('metadata and keys allow every origin', async () => {
    for (const path of [
      '/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server',
      '/oauth/jwks',
    ]) {
      const { headers } = await send(postern, path, { headers: { origin: 'https://anybody.example' } })
      expect(headers.get('access-control-allow-origin')).toBe('https://anybody.example')
    }
  })

  test('userinfo allows the origins of the token’s client', async () => {
    const { tokens } = await login(postern, app, { email: 'ada@example.com' })
    const ask = (origin: string) =>
      send(postern, '/oauth/userinfo', { bearer: tokens.access_token, headers: { origin } })
    expect((await ask(own)).headers.get('access-control-allow-origin')).toBe(own)
    const foreign = await ask('https://evil.example')
    expect([foreign.status, foreign.headers.get('access-control-allow-origin')]).toEqual([400, null])
  })

  test('pages and forms allow no other origin', async () => {
    for (const path of [
      '/',
      '/device',
      '/oauth/logout',
      '/oauth/register',
      `/oauth/authorize?client_id=${app.client_id}`,
    ]) {
      const { headers } = await send(postern, path, { headers: { origin: own } })
      expect([path, headers.get('access-control-allow-origin')]).toEqual([path, null])
    }
  })

  test('a preflight is answered without any information about clients', async () => {
    const ask = (origin: string) =>
      send(postern, '/oauth/token', {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      })
    const [one, two] = [await ask(own), await ask('https://evil.example')]
    expect([one.status, two.status]).toEqual([204, 204])
    expect(two.headers.get('access-control-allow-credentials')).toBeNull()
  })
})
