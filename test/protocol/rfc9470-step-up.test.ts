import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { requireToken } from '../../src/resource-server/index.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'

const email = 'ada@example.com'
const resources = { opaque: 'https://opaque.example/', jwt: 'https://jwt.example/' }

let postern: TestPostern
let client: ClientMetadata
let api: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
  api = await postern.createClient({ grant_types: [], redirect_uris: [], response_types: [] })
  await postern.createResource({ identifier: resources.opaque, clientId: api.client_id })
  await postern.createResource({ identifier: resources.jwt, tokenFormat: 'jwt' })
})
afterAll(() => postern?.stop())

describe.each(['opaque', 'jwt'] as const)('RFC 9470: an API that receives %s access tokens', (form) => {
  const resource = resources[form]
  const scope = 'openid read offline_access'
  const signIn = () => login(postern, client, { email, scope, resource, tokenParameters: { resource } })

  function ask(token: string, demands: { maxAgeSeconds?: number; acrValues?: string[] }) {
    const guard = requireToken({
      issuer: postern.issuer,
      audience: resource,
      scopes: ['read'],
      ...(form === 'opaque' && {
        introspection: { clientId: api.client_id, clientSecret: String(api['client_secret']), cacheSeconds: 0 },
      }),
    })
    return guard.verify(new Request(resource, { headers: { authorization: `Bearer ${token}` } }), demands)
  }

  test('§6: learns when and how the person signed in', async () => {
    const { tokens } = await signIn()
    const { token } = await ask(tokens.access_token, { maxAgeSeconds: 60 })
    expect(token).toMatchObject({ auth_time: expect.any(Number), amr: ['pwd'] })
    expect(Math.abs(Number(token?.auth_time) - Date.now() / 1000)).toBeLessThan(60)
  })

  test('§6: learns the same from a refreshed token, however much later', async () => {
    const { config, tokens } = await signIn()
    const before = (await ask(tokens.access_token, {})).token
    await new Promise((resolve) => setTimeout(resolve, 1_100)) // into another second
    const refreshed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token), { resource })
    expect((await ask(refreshed.access_token, {})).token?.auth_time).toBe(before?.auth_time)
  })

  test('§3: can require a more recent sign-in', async () => {
    const { tokens } = await signIn()
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    const { refusal } = await ask(tokens.access_token, { maxAgeSeconds: 0 })
    expect(refusal).toMatchObject({ status: 401, body: { error: 'insufficient_user_authentication' } })
  })

  test('§3: rejects a token when it requires another way of signing in', async () => {
    const { tokens } = await signIn()
    const { refusal } = await ask(tokens.access_token, { acrValues: ['urn:example:retina'] })
    expect(refusal).toMatchObject({ status: 401, body: { error: 'insufficient_user_authentication' } })
  })

  test('learns nothing about a person from a machine’s token', async () => {
    const machine = await postern.createClient({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: 'read',
      resources: [resource],
    })
    const config = await oidc.discovery(
      new URL(postern.issuer),
      machine.client_id,
      undefined,
      oidc.ClientSecretBasic(String(machine['client_secret'])),
      { execute: [oidc.allowInsecureRequests] },
    )
    const { access_token } = await oidc.clientCredentialsGrant(config, { resource, scope: 'read' })
    const { token } = await ask(access_token, {})
    expect([token?.auth_time, token?.acr, token?.['amr']]).toEqual([undefined, undefined, undefined])
    expect((await ask(access_token, { maxAgeSeconds: 60 })).refusal).toMatchObject({ status: 401 })
  })
})
