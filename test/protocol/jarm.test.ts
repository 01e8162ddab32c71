import { jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, beginLogin, discover } from '../support/relying-party.ts'
import { formsOf } from '../support/visitor.ts'
import { answerOf, publishedKeys } from '../support/wire.ts'

const email = 'ada@example.com'
let postern: TestPostern
let client: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient({ authorization_signed_response_alg: 'ES256' })
})
afterAll(() => postern?.stop())

const read = async (response: unknown) =>
  (
    await jwtVerify(String(response), await publishedKeys(postern), {
      issuer: postern.issuer,
      audience: client.client_id,
      algorithms: ['ES256'],
      requiredClaims: ['exp'],
    })
  ).payload

describe('JARM §2.3: the response as a signed JWT', () => {
  test.each(['jwt', 'query.jwt'])('%s puts it in the query, and openid-client accepts it', async (response_mode) => {
    const config = await discover(postern, client)
    oidc.useJwtResponseMode(config)
    const { callback, verifier, nonce, state } = await authorize(postern, client, { email, config, response_mode })
    expect([...callback.searchParams.keys()]).toEqual(['response'])
    expect(await read(callback.searchParams.get('response'))).toMatchObject({ code: expect.any(String), state })
    const tokens = await oidc.authorizationCodeGrant(config, callback, {
      pkceCodeVerifier: verifier,
      expectedNonce: nonce,
      expectedState: state,
    })
    expect(tokens.access_token).toBeTruthy()
  })

  test('fragment.jwt puts it in the fragment', async () => {
    const { callback } = await authorize(postern, client, { email, response_mode: 'fragment.jwt' })
    expect(callback.search).toBe('')
    expect(await read(answerOf(callback)['response'])).toMatchObject({ code: expect.any(String) })
  })

  test('form_post.jwt posts it to the redirect_uri', async () => {
    const { visitor } = await authorize(postern, client, { email })
    const config = await discover(postern, client)
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, response_mode: 'form_post.jwt' })
    const [form] = formsOf(page.body)
    expect(form?.action).toBe('https://rp.example/cb')
    expect(Object.keys(form?.hidden ?? {})).toEqual(['response'])
    expect(await read([form?.hidden['response']].flat()[0])).toMatchObject({ code: expect.any(String) })
  })

  test('errors are signed too', async () => {
    const config = await discover(postern, client)
    const { page, state } = await beginLogin(config, {
      issuer: postern.issuer,
      response_mode: 'query.jwt',
      prompt: 'none',
    })
    expect(await read(answerOf(page.url)['response'])).toMatchObject({ error: 'login_required', state })
  })

  test('a mode that does not exist is rejected', async () => {
    const config = await discover(postern, client)
    const { page } = await beginLogin(config, { issuer: postern.issuer, response_mode: 'web_message.jwt' })
    expect(answerOf(page.url)).toMatchObject({ error: 'unsupported_response_mode' })
  })
})

describe('JARM §3: authorization_signed_response_alg', () => {
  test.each(['none', 'HS256'])('cannot be %s', async (alg) => {
    await expect(postern.createClient({ authorization_signed_response_alg: alg })).rejects.toThrow(
      /authorization_signed_response_alg/,
    )
  })
})
