import { decodeJwt, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { halfHash } from '../support/id-tokens.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, beginLogin, discover } from '../support/relying-party.ts'
import { answerOf, publishedKeys, send } from '../support/wire.ts'

const email = 'ada@example.com'
const weaker = {
  grant_types: ['authorization_code', 'implicit'],
  response_types: ['code', 'id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token', 'none'],
}

describe('by default, without OpenID Connect Core §3.2 and §3.3', () => {
  let postern: TestPostern
  beforeAll(async () => {
    postern = await startPostern()
    await postern.createAccount(email)
  })
  afterAll(() => postern?.stop())

  test.each(['token', 'id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token', 'none'])(
    'response_type=%s is rejected',
    async (response_type) => {
      const config = await discover(postern, await postern.createClient())
      const { page } = await beginLogin(config, { issuer: postern.issuer, response_type })
      expect(answerOf(page.url)).toMatchObject({ error: 'unsupported_response_type' })
      expect(page.url).not.toContain('/interaction/')
    },
  )

  test('no client can be registered for their response types, either by itself or by an administrator', async () => {
    await expect(postern.createClient(weaker)).rejects.toThrow(/response_types|grant_types/)
    const { initial_access_token } = (await operate(postern, 'registration-token create', {})) as Record<string, string>
    const { status } = await send(postern, '/oauth/register', {
      bearer: String(initial_access_token),
      body: { redirect_uris: ['https://rp.example/cb'], ...weaker },
    })
    expect(status).toBe(400)
  })

  test.each(['web_message', 'nonsense'])('response_mode=%s is rejected', async (response_mode) => {
    const config = await discover(postern, await postern.createClient())
    const { page } = await beginLogin(config, { issuer: postern.issuer, response_mode })
    expect(page.url).toMatch(/^https:\/\/rp\.example\/cb\?/)
    expect(answerOf(page.url)).toMatchObject({ error: 'unsupported_response_mode', iss: postern.issuer })
  })
})

describe('with ALLOW_IMPLICIT_AND_HYBRID', () => {
  let postern: TestPostern
  let client: ClientMetadata
  beforeAll(async () => {
    postern = await startPostern({ ALLOW_IMPLICIT_AND_HYBRID: 'true' })
    await postern.createAccount(email)
    client = await postern.createClient(weaker)
  })
  afterAll(() => postern?.stop())

  const verified = async (id_token: unknown) =>
    (
      await jwtVerify(String(id_token), await publishedKeys(postern), {
        issuer: postern.issuer,
        audience: client.client_id,
      })
    ).payload

  test('OpenID Connect Core §3.2: id_token is in the fragment, and openid-client accepts it', async () => {
    const config = await discover(postern, client)
    oidc.useIdTokenResponseType(config)
    const challenge = { code_challenge: undefined, code_challenge_method: undefined }
    const { callback, nonce, state } = await authorize(postern, client, { email, config, ...challenge })
    expect(callback.search).toBe('')
    const claims = await oidc.implicitAuthentication(config, callback, nonce, { expectedState: state })
    expect(claims.sub).toBeTruthy()
  })

  test('§3.2.2.9: id_token token has an at_hash', async () => {
    const { callback } = await authorize(postern, client, { email, response_type: 'id_token token' })
    const { id_token, access_token, code } = answerOf(callback)
    expect([await verified(id_token), code]).toMatchObject([{ at_hash: halfHash(access_token) }, undefined])
    expect((await send(postern, '/oauth/userinfo', { bearer: String(access_token) })).status).toBe(200)
  })

  test('§3.3: code id_token has a c_hash, and its code can be redeemed', async () => {
    const config = await discover(postern, client)
    oidc.useCodeIdTokenResponseType(config)
    const { callback, verifier, nonce, state } = await authorize(postern, client, { email, config })
    const { id_token, code } = answerOf(callback)
    expect(await verified(id_token)).toMatchObject({ c_hash: halfHash(code), nonce })
    const tokens = await oidc.authorizationCodeGrant(config, callback, {
      pkceCodeVerifier: verifier,
      expectedNonce: nonce,
      expectedState: state,
    })
    expect(decodeJwt(String(tokens.id_token)).sub).toBe(decodeJwt(String(id_token)).sub)
  })

  test('§3.3: code id_token token has both hashes', async () => {
    const { callback } = await authorize(postern, client, { email, response_type: 'code id_token token' })
    const { id_token, access_token, code } = answerOf(callback)
    expect(await verified(id_token)).toMatchObject({ c_hash: halfHash(code), at_hash: halfHash(access_token) })
  })

  test('§3.2.2.1: a nonce is required', async () => {
    const config = await discover(postern, client)
    for (const response_type of ['id_token', 'code id_token']) {
      const { page } = await beginLogin(config, { issuer: postern.issuer, response_type, nonce: undefined })
      expect(answerOf(page.url)).toMatchObject({ error: 'invalid_request' })
    }
  })

  test('OAuth 2.0 Multiple Response Types §5: a token is never in the query', async () => {
    const config = await discover(postern, client)
    for (const response_type of ['id_token', 'code id_token', 'code token']) {
      const { page } = await beginLogin(config, { issuer: postern.issuer, response_type, response_mode: 'query' })
      expect(answerOf(page.url)).toMatchObject({ error: 'invalid_request' })
    }
  })

  test('a client gets only the response types it is registered for', async () => {
    const config = await discover(postern, await postern.createClient())
    const { page } = await beginLogin(config, { issuer: postern.issuer, response_type: 'id_token' })
    expect(answerOf(page.url)).toMatchObject({
      error: expect.stringMatching(/^un(authorized_client|supported_response_type)$|^invalid_request$/),
    })
  })

  test('these response types are advertised', async () => {
    const { json } = await send(postern, '/.well-known/openid-configuration')
    expect(json['response_types_supported']).toEqual(expect.arrayContaining(['code', 'id_token', 'code id_token']))
    expect(json['response_modes_supported']).toEqual(expect.arrayContaining(['fragment']))
  })
})
