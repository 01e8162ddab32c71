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

describe('RFC 7009 §2.1: a client that revokes its own token', () => {
  test('gets an answer without content, and so without a content type (RFC 9110 §8.3)', async () => {
    const answer = await revoke('unknown', { client })
    expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([200, '', null])
  })

  test.each([undefined, 'access_token', 'refresh_token', 'nonsense'])(
    'revokes the access tokens of the same login together with a refresh token (hint %s)',
    async (hint) => {
      const { config, tokens } = await login(postern, client, { email, scope })
      expect((await revoke(tokens.refresh_token, { client }, hint)).status).toBe(200)
      expect(await isAlive(config, tokens.refresh_token)).toBe(false)
      expect(await isAlive(config, tokens.access_token)).toBe(false)
      expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
    },
  )

  test('can revoke an access token', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    await oidc.tokenRevocation(config, tokens.access_token)
    expect(await isAlive(config, tokens.access_token)).toBe(false)
  })

  test('can revoke an access token of client credentials', async () => {
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

  test('does not affect another login of the same person at the same client on another device', async () => {
    const phone = await login(postern, client, { email, scope })
    const laptop = await login(postern, client, { email, scope })
    await oidc.tokenRevocation(phone.config, String(phone.tokens.refresh_token))
    expect(await isAlive(phone.config, phone.tokens.access_token)).toBe(false)
    expect(await isAlive(laptop.config, laptop.tokens.access_token)).toBe(true)
    expect((await oidc.refreshTokenGrant(laptop.config, String(laptop.tokens.refresh_token))).access_token).toBeTruthy()
  })

  test('leaves the consent in place: the next sign-in asks for nothing', async () => {
    const first = await login(postern, client, { email })
    await oidc.tokenRevocation(first.config, first.tokens.access_token)
    const again = await login(postern, client, { email, visitor: first.visitor, prompt: 'none' })
    expect(again.tokens.access_token).toBeTruthy()
  })

  test('may be a public client that names itself', async () => {
    const app = await postern.createClient({ token_endpoint_auth_method: 'none' })
    const { tokens } = await login(postern, app, { email, scope })
    expect((await revoke(tokens.refresh_token, { client_id: app.client_id })).status).toBe(200)
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
  })
})

describe('RFC 7009 §2.1: a token cannot be revoked by others:', () => {
  test('§2.2: another confidential client gets the answer for an unknown token, and the token stays valid', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    const unknown = await revoke('unknown', { client: stranger })
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      const { status, text } = await revoke(token, { client: stranger })
      expect([status, text]).toEqual([200, unknown.text])
      expect(await isAlive(config, token)).toBe(true)
    }
  })

  test('a public client, which anyone can imitate, gets the answer for an unknown token, and the token stays valid', async () => {
    const app = await postern.createClient({ token_endpoint_auth_method: 'none' })
    const { config, tokens } = await login(postern, client, { email, scope })
    const known = await revoke(tokens.refresh_token, { client_id: app.client_id })
    const unknown = await revoke('unknown', { client_id: app.client_id })
    expect([known.status, known.text]).toEqual([unknown.status, unknown.text])
    expect(await isAlive(config, tokens.refresh_token)).toBe(true)
  })

  test('a request without credentials, or with wrong ones, is rejected', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    for (const who of [{}, { client_id: client.client_id }, { client: { ...client, client_secret: 'wrong' } }]) {
      const { status, json } = await revoke(tokens.refresh_token, who)
      expect([400, 401]).toContain(status)
      expect(json['error']).toMatch(/^invalid_(client|request)$/)
    }
    expect(await isAlive(config, tokens.refresh_token)).toBe(true)
  })
})

describe('RFC 7009 §2.2: the answer', () => {
  test('is a success for an unknown, truncated or revoked token', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    const cut = tokens.access_token.slice(0, -1)
    await revoke(cut, { client })
    expect(await isAlive(config, tokens.access_token)).toBe(true)
    for (const token of ['unknown', cut, tokens.refresh_token, tokens.refresh_token]) {
      expect((await revoke(token, { client })).status).toBe(200)
    }
  })

  test('is invalid_request without a token', async () => {
    const { status, json } = await send(postern, '/oauth/revoke', { client, form: { x: 'y' } })
    expect([status, json['error']]).toEqual([400, 'invalid_request'])
  })

  test('§2.2.1: is unsupported_token_type for a JWT access token, which cannot be revoked', async () => {
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
