import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, beginLogin, discover } from '../support/relying-party.ts'
import { answerOf, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
const without = { code_challenge: undefined, code_challenge_method: undefined }
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
})
afterAll(() => postern?.stop())

async function refusedAtAuthorization(
  at: TestPostern,
  metadata: Record<string, unknown>,
  parameters: Record<string, unknown>,
): Promise<void> {
  const config = await discover(at, await at.createClient(metadata))
  const { page } = await beginLogin(config, { issuer: at.issuer, ...parameters })
  expect(answerOf(page.url)).toMatchObject({ error: 'invalid_request' })
}

describe('RFC 7636 §4.4: a code_challenge is required:', () => {
  test.each([
    ['a confidential client', {}],
    ['a public client', { token_endpoint_auth_method: 'none' }],
    ['a public client with require_pkce false', { token_endpoint_auth_method: 'none', require_pkce: false }],
  ])('%s is rejected without one', (_who, metadata) => refusedAtAuthorization(postern, metadata, without))

  test('the method plain is rejected, named or implied', async () => {
    await refusedAtAuthorization(postern, {}, { code_challenge_method: 'plain' })
    await refusedAtAuthorization(postern, {}, { code_challenge_method: undefined })
  })

  test('§4.2: a challenge that is not 43 to 128 unreserved characters is rejected', async () => {
    for (const code_challenge of ['short', 'ä'.repeat(43), `${'a'.repeat(43)}=`]) {
      await refusedAtAuthorization(postern, {}, { code_challenge })
    }
  })
})

describe('RFC 7636 §4.6: a code', () => {
  test.each([
    ['is omitted', undefined],
    ['is empty', ''],
    ['is another one', oidc.randomPKCECodeVerifier()],
    ['is malformed', 'short'],
  ])('is rejected if its verifier %s', async (_how, code_verifier) => {
    const client = await postern.createClient()
    const answer = await redeem(postern, await authorize(postern, client, { email }), { client, code_verifier })
    expect(answer.status).toBe(400)
    expect(answer.json['error']).toMatch(/^invalid_(grant|request)$/)
    expect(answer.json).not.toHaveProperty('access_token')
  })

  test('is rejected if the challenge itself is sent as the verifier', async () => {
    const client = await postern.createClient()
    const begun = await authorize(postern, client, { email })
    const code_verifier = await oidc.calculatePKCECodeChallenge(begun.verifier)
    expect((await redeem(postern, begun, { client, code_verifier })).json['error']).toBe('invalid_grant')
  })

  test('is not used up by a rejected attempt', async () => {
    const client = await postern.createClient()
    const begun = await authorize(postern, client, { email })
    await redeem(postern, begun, { client, code_verifier: oidc.randomPKCECodeVerifier() })
    expect((await redeem(postern, begun, { client })).status).toBe(200)
  })
})

describe('a client without PKCE', () => {
  test('is accepted if it is confidential and its administrator allows it', async () => {
    const client = await postern.createClient({ require_pkce: false })
    const begun = await authorize(postern, client, { email, ...without })
    expect((await redeem(postern, begun, { client, code_verifier: undefined })).status).toBe(200)
  })

  test('RFC 9700 §2.1.1: must not send a verifier for a code without a challenge', async () => {
    const client = await postern.createClient({ require_pkce: false })
    const begun = await authorize(postern, client, { email, ...without })
    expect((await redeem(postern, begun, { client })).json['error']).toBe('invalid_grant')
  })

  test('cannot omit the verifier after it sent a challenge', async () => {
    const client = await postern.createClient({ require_pkce: false })
    const begun = await authorize(postern, client, { email })
    expect((await redeem(postern, begun, { client, code_verifier: undefined })).json['error']).toBe('invalid_grant')
  })

  test('is not accepted because it says so itself', async () => {
    const { initial_access_token } = (await operate(postern, 'registration-token create', {})) as Record<string, string>
    const { status, json } = await send(postern, '/oauth/register', {
      bearer: String(initial_access_token),
      body: { redirect_uris: ['https://rp.example/cb'], require_pkce: false },
    })
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
  })

  test('is accepted with REQUIRE_PKCE=public-clients if it is confidential, but not if it is public', async () => {
    const relaxed = await startPostern({ REQUIRE_PKCE: 'public-clients' })
    try {
      await relaxed.createAccount(email)
      const client = await relaxed.createClient()
      const begun = await authorize(relaxed, client, { email, ...without })
      expect((await redeem(relaxed, begun, { client, code_verifier: undefined })).status).toBe(200)
      await refusedAtAuthorization(relaxed, { token_endpoint_auth_method: 'none' }, without)
      await refusedAtAuthorization(relaxed, { require_pkce: true }, without)
    } finally {
      await relaxed.stop()
    }
  })
})
