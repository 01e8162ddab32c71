import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { login } from '../support/relying-party.ts'
import { send } from '../support/wire.ts'

const email = 'ada@example.com'
const scope = 'openid offline_access'
let postern: TestPostern
let client: ClientMetadata
let stranger: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
  stranger = await postern.createClient()
  await postern.createResource({ identifier: 'https://jwt.example/', tokenFormat: 'jwt' })
})
afterAll(() => postern?.stop())

const isAlive = async (config: oidc.Configuration, token: unknown) =>
  (await oidc.tokenIntrospection(config, String(token))).active

const revoke = (token: unknown, who: { client?: ClientMetadata; client_id?: string }, hint?: string) =>
  send(postern, '/oauth/revoke', {
    client: who.client,
    form: {
      token: String(token),
      ...(who.client_id !== undefined && { client_id: who.client_id }),
      ...(hint !== undefined && { token_type_hint: hint }),
    },
  })

describe('RFC 7009 §2.1: a client revokes its own tokens', () => {
  test('the answer has no content, and so no content type (RFC 9110 §8.3)', async () => {
    const answer = await revoke('unknown', { client })
    expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([200, '', null])
  })

  test.each([undefined, 'access_token', 'refresh_token', 'nonsense'])(
    'a refresh token, with the access tokens of the same login (hint %s)',
    async (hint) => {
      const { config, tokens } = await login(postern, client, { email, scope })
      expect((await revoke(tokens.refresh_token, { client }, hint)).status).toBe(200)
      expect(await isAlive(config, tokens.refresh_token)).toBe(false)
      expect(await isAlive(config, tokens.access_token)).toBe(false)
      expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
    },
  )

  test('an access token', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    await oidc.tokenRevocation(config, tokens.access_token)
    expect(await isAlive(config, tokens.access_token)).toBe(false)
  })

  test('an access token of client credentials', async () => {
    const machine = await postern.createClient({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })
    const { json } = await send(postern, '/oauth/token', {
      client: machine,
      form: { grant_type: 'client_credentials' },
    })
    expect((await revoke(json['access_token'], { client: machine })).status).toBe(200)
    const asked = await send(postern, '/oauth/introspect', {
      client: machine,
      form: { token: String(json['access_token']) },
    })
    expect(asked.json).toEqual({ active: false })
  })

  test('and another login of the same person at the same client, on another device, goes on', async () => {
    const phone = await login(postern, client, { email, scope })
    const laptop = await login(postern, client, { email, scope })
    await oidc.tokenRevocation(phone.config, String(phone.tokens.refresh_token))
    expect(await isAlive(phone.config, phone.tokens.access_token)).toBe(false)
    expect(await isAlive(laptop.config, laptop.tokens.access_token)).toBe(true)
    expect((await oidc.refreshTokenGrant(laptop.config, String(laptop.tokens.refresh_token))).access_token).toBeTruthy()
  })

  test('and consent is remembered: signing in again asks for nothing', async () => {
    const first = await login(postern, client, { email })
    await oidc.tokenRevocation(first.config, first.tokens.access_token)
    const again = await login(postern, client, { email, visitor: first.visitor, prompt: 'none' })
    expect(again.tokens.access_token).toBeTruthy()
  })

  test('a public client, naming itself', async () => {
    const app = await postern.createClient({ token_endpoint_auth_method: 'none' })
    const { tokens } = await login(postern, app, { email, scope })
    expect((await revoke(tokens.refresh_token, { client_id: app.client_id })).status).toBe(200)
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
  })
})

describe('RFC 7009 §2.1: nobody else does', () => {
  test('§2.2: another confidential client is told what is said of a token that does not exist, and the token lives', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    const unknown = await revoke('unknown', { client: stranger })
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      const { status, text } = await revoke(token, { client: stranger })
      expect([status, text]).toEqual([200, unknown.text])
      expect(await isAlive(config, token)).toBe(true)
    }
  })

  test('a public client, which anybody can claim to be, is told nothing, and the token lives', async () => {
    const app = await postern.createClient({ token_endpoint_auth_method: 'none' })
    const { config, tokens } = await login(postern, client, { email, scope })
    const known = await revoke(tokens.refresh_token, { client_id: app.client_id })
    const unknown = await revoke('unknown', { client_id: app.client_id })
    expect([known.status, known.text]).toEqual([unknown.status, unknown.text])
    expect(await isAlive(config, tokens.refresh_token)).toBe(true)
  })

  test('without credentials, or with wrong ones, it is refused', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    for (const who of [{}, { client_id: client.client_id }, { client: { ...client, client_secret: 'wrong' } }]) {
      const { status, json } = await revoke(tokens.refresh_token, who)
      expect([400, 401]).toContain(status)
      expect(json['error']).toMatch(/^invalid_(client|request)$/)
    }
    expect(await isAlive(config, tokens.refresh_token)).toBe(true)
  })
})

describe('RFC 7009 §2.2', () => {
  test('a token that is unknown, cut short or already revoked is a success', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    const cut = tokens.access_token.slice(0, -1)
    await revoke(cut, { client })
    expect(await isAlive(config, tokens.access_token)).toBe(true)
    for (const token of ['unknown', cut, tokens.refresh_token, tokens.refresh_token]) {
      expect((await revoke(token, { client })).status).toBe(200)
    }
  })

  test('no token at all is a mistake', async () => {
    const { status, json } = await send(postern, '/oauth/revoke', { client, form: { x: 'y' } })
    expect([status, json['error']]).toEqual([400, 'invalid_request'])
  })

  test('§2.2.1: a JWT access token cannot be revoked, and the answer says so', async () => {
    const resource = 'https://jwt.example/'
    const { tokens } = await login(postern, client, {
      email,
      scope: 'openid read',
      resource,
      tokenParameters: { resource },
    })
    const { status, json } = await revoke(tokens.access_token, { client })
    expect([status, json['error']]).toEqual([400, 'unsupported_token_type'])
  })
})
