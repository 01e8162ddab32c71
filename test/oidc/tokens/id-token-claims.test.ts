import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createToken } from '../../support/registration.ts'
import { authorize, login } from '../../support/relying-party.ts'
import { send } from '../../support/wire.ts'

const email = 'ada@example.com'
const standard = ['aud', 'at_hash', 'exp', 'iat', 'iss', 'nonce', 'sub', 'acr', 'amr', 'auth_time']

let postern: TestPostern
let client: ClientMetadata

const register = (metadata = {}) =>
  postern.createClient({
    grant_types: ['authorization_code', 'refresh_token'],
    scope: 'openid profile email groups offline_access',
    id_token_claims: ['email', 'groups', 'name'],
    ...metadata,
  })

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email, { name: 'Ada', groups: ['staff'], phone_number: '+44 1' })
  client = await register()
})
afterAll(() => postern.stop())

const added = (claims: object | undefined) =>
  Object.fromEntries(Object.entries(claims ?? {}).filter(([name]) => !standard.includes(name)))

describe('id_token_claims', () => {
  test('are in the ID token when the person consented to their scopes', async () => {
    const { tokens } = await login(postern, client, { email, scope: 'openid profile email groups' })
    expect(added(tokens.claims())).toEqual({ email, groups: ['staff'], name: 'Ada' })
  })

  test.each([
    ['not requested', { scope: 'openid email' }, { email }],
    ['unticked by the person', { scope: 'openid profile email groups', scopes: ['groups'] }, { groups: ['staff'] }],
    ['all absent', { scope: 'openid' }, {}],
  ])('are not in the ID token if their scopes are %s', async (_name, asked, expected) => {
    const { tokens } = await login(postern, await register(), { email, ...asked })
    expect(added(tokens.claims())).toEqual(expected)
  })

  test('are in the ID token of a refresh, but only for the scopes that it asks for', async () => {
    const { config, tokens } = await login(postern, client, {
      email,
      scope: 'openid profile email groups offline_access',
    })
    const all = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
    expect(added(all.claims())).toEqual({ email, groups: ['staff'], name: 'Ada' })
    const fewer = await oidc.refreshTokenGrant(config, String(all.refresh_token), { scope: 'openid email' })
    expect(added(fewer.claims())).toEqual({ email })
  })

  test('end with the scope of the client', async () => {
    const narrowed = await register()
    const scope = 'openid profile email groups offline_access'
    const { config, tokens } = await login(postern, narrowed, { email, scope })
    await operate(postern, 'client update', { client_id: narrowed.client_id, scope: 'openid email offline_access' })
    const renewed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
    expect(added(renewed.claims())).toEqual({ email })
  })

  test('change nothing for a client without them', async () => {
    const plain = await register({ id_token_claims: undefined })
    const { tokens } = await login(postern, plain, { email, scope: 'openid profile email groups' })
    expect(added(tokens.claims())).toEqual({})
  })

  test('are in the ID token of the implicit flow too', async () => {
    const implicit = await startPostern({ ALLOW_IMPLICIT_AND_HYBRID: 'true' })
    try {
      await implicit.createAccount(email, { groups: ['staff'] })
      const both = await implicit.createClient({
        grant_types: ['authorization_code', 'implicit'],
        response_types: ['code id_token token'],
        scope: 'openid email groups',
        id_token_claims: ['groups'],
      })
      const { callback } = await authorize(implicit, both, {
        email,
        scope: 'openid email groups',
        response_type: 'code id_token token',
      })
      const [, body = ''] = String(new URLSearchParams(callback.hash.slice(1)).get('id_token')).split('.')
      expect(JSON.parse(Buffer.from(body, 'base64url').toString())).toMatchObject({ groups: ['staff'] })
    } finally {
      await implicit.stop()
    }
  })

  test('must be supported claims', async () => {
    await expect(register({ id_token_claims: ['email', 'shoe_size'] })).rejects.toThrow(
      /id_token_claims must be a list/,
    )
  })

  test('can be registered by the client itself', async () => {
    const body = { redirect_uris: ['https://rp.example/cb'], id_token_claims: ['email'] }
    expect((await send(postern, '/oauth/register', { bearer: await createToken(postern), body })).json).toMatchObject({
      id_token_claims: ['email'],
    })
  })
})
