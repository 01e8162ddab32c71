import { randomUUID } from 'node:crypto'
import { decodeProtectedHeader, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { completeLogin, discover, refusal, visit } from '../support/relying-party.ts'
import { answerOf, createKey, send } from '../support/wire.ts'

const email = 'ada@example.com'
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const verifier = oidc.randomPKCECodeVerifier()
const now = () => Math.floor(Date.now() / 1000)
let postern: TestPostern
let client: ClientMetadata
let metadata: Record<string, unknown>
let key: CryptoKey
let rsa: CryptoKey
let request: Record<string, string>

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  const ec = await createKey()
  const weak = await createKey('RS256', 'k2')
  key = ec.key
  rsa = weak.key
  metadata = {
    fapi_profile: '2.0',
    jwks: { keys: [...ec.jwks.keys, ...weak.jwks.keys] },
    id_token_signed_response_alg: 'PS256',
  }
  client = await postern.createClient(metadata)
  request = {
    response_type: 'code',
    redirect_uri: 'https://rp.example/cb',
    scope: 'openid offline_access',
    prompt: 'consent',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
})
afterAll(() => postern?.stop())

type Differing = { claims?: Record<string, unknown>; by?: CryptoKey; alg?: string; kid?: string }

function sign(payload: object, { claims = {}, by = key, alg = 'ES256', kid = 'k1' }: Differing): Promise<string> {
  return new SignJWT({ ...payload, ...claims }).setProtectedHeader({ alg, kid }).sign(by)
}

const assertion = (differing: Differing = {}) => {
  const { client_id: id } = client
  const standard = { iss: id, sub: id, aud: postern.issuer, jti: randomUUID(), iat: now(), exp: now() + 60 }
  return sign(standard, differing)
}

const requestObject = (differing: Differing = {}) => {
  const { client_id } = client
  const standard = { iss: client_id, aud: postern.issuer, client_id, nbf: now(), exp: now() + 600, ...request }
  return sign(standard, differing)
}

async function push(form: Record<string, string>, differing?: Differing) {
  const auth = { client_assertion: await assertion(differing), client_assertion_type: assertionType }
  return send(postern, '/oauth/par', { form: { client_id: client.client_id, ...form, ...auth } })
}

/** Creates a relying party of the profile: it signs its assertions, pushes its requests and proves its key. */
async function relyingParty() {
  const config = await discover(
    postern,
    client,
    oidc.PrivateKeyJwt(
      { key, kid: 'k1' },
      { [oidc.modifyAssertion]: (_header, claims) => Object.assign(claims, { aud: postern.issuer }) },
    ),
  )
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair())
  async function begin() {
    const url = await oidc.buildAuthorizationUrlWithPAR(config, request, { DPoP })
    return completeLogin(await visit(postern, url), email)
  }
  return { config, DPoP, begin }
}

async function login() {
  const { config, DPoP, begin } = await relyingParty()
  const tokens = await oidc.authorizationCodeGrant(config, await begin(), { pkceCodeVerifier: verifier }, undefined, {
    DPoP,
  })
  const refresh = (value = String(tokens.refresh_token)) => oidc.refreshTokenGrant(config, value, undefined, { DPoP })
  return { config, DPoP, tokens, refresh }
}

describe('a client of the FAPI 2.0 Security Profile', () => {
  test('completes a login with a pushed request, a signed assertion and a proof of its key', async () => {
    const { config, DPoP, tokens } = await login()
    expect([tokens.token_type, decodeProtectedHeader(String(tokens.id_token)).alg]).toEqual(['dpop', 'PS256'])
    const { sub } = await oidc.fetchUserInfo(config, tokens.access_token, String(tokens.claims()?.sub), { DPoP })
    expect(sub).toBeTruthy()
  })

  test('§5.3.2.1: keeps its refresh token, which it can use repeatedly until it is revoked', async () => {
    const { config, tokens, refresh } = await login()
    for (let use = 0; use < 3; use++) {
      const refreshed = await refresh()
      expect(refreshed.refresh_token).toBe(tokens.refresh_token)
      expect(refreshed.access_token).not.toBe(tokens.access_token)
    }
    const both = await Promise.all([refresh(), refresh()])
    expect(both.map(({ access_token }) => access_token).filter(Boolean)).toHaveLength(2)
    await oidc.tokenRevocation(config, both[0].access_token)
    expect(await refusal(refresh())).toMatchObject({ error: 'invalid_grant' })
  })

  test('gets no valid token from a refresh that a revocation overlaps', async () => {
    for (let round = 0; round < 5; round++) {
      const { config, tokens, refresh } = await login()
      const [refreshed] = await Promise.allSettled([refresh(), oidc.tokenRevocation(config, tokens.access_token)])
      const issued = refreshed.status === 'fulfilled' ? refreshed.value.access_token : tokens.access_token
      expect((await oidc.tokenIntrospection(config, issued)).active).toBe(false)
    }
  })

  test('has a refresh token for as long as a login may last, since no other follows it', async () => {
    const { config, tokens } = await login()
    const { exp } = await oidc.tokenIntrospection(config, String(tokens.refresh_token))
    expect(Number(exp) - now()).toBeGreaterThan(postern.config.REFRESH_TOKEN_TTL_SECONDS)
  })

  test('§5.3.2.1: gets no token without a proof of its key', async () => {
    const { config, begin } = await relyingParty()
    const plain = oidc.authorizationCodeGrant(config, await begin(), { pkceCodeVerifier: verifier })
    expect(await refusal(plain)).toMatchObject({ status: 400, error: 'invalid_grant' })
  })

  test('§5.3.2.2: cannot send a request through the browser', async () => {
    const { config } = await relyingParty()
    const { page } = await visit(postern, oidc.buildAuthorizationUrl(config, request))
    expect(answerOf(page.url)).toMatchObject({ error: 'invalid_request' })
  })

  test.each([
    ['without a challenge', { code_challenge: '', code_challenge_method: '' }],
    ['with a plain challenge', { code_challenge_method: 'plain' }],
  ])('§5.3.2.2: is rejected %s', async (_what, differing) => {
    const form = Object.fromEntries(Object.entries({ ...request, ...differing }).filter(([, value]) => value !== ''))
    const { status, json } = await push(form)
    expect([status, json['error']]).toEqual([400, 'invalid_request'])
    expect(json['error_description']).not.toContain('--require-pkce')
  })

  test('§5.3.2.1: must name only the issuer as the audience of its assertion', async () => {
    const audiences = [[postern.issuer], `${postern.issuer}/oauth/token`, `${postern.issuer}/oauth/par`]
    for (const aud of audiences) {
      const { status, json } = await push(request, { claims: { aud } })
      expect([aud, status, json['error']]).toEqual([aud, 401, 'invalid_client'])
    }
    expect((await push(request)).status).toBe(201)
  })

  test('§5.4.1: cannot sign with RS256', async () => {
    const weak = { by: rsa, alg: 'RS256', kid: 'k2' }
    expect((await push(request, weak)).json['error']).toBe('invalid_client')
    expect((await push({ request: await requestObject(weak) })).json['error']).toBe('invalid_request_object')
  })
})

describe('FAPI 2.0 Message Signing §5.3.1: a request object', () => {
  test('leads to a login when it is pushed', async () => {
    const { json } = await push({ request: await requestObject() })
    const query = new URLSearchParams({ client_id: client.client_id, request_uri: String(json['request_uri']) })
    const callback = await completeLogin(await visit(postern, `/oauth/authorize?${query}`), email)
    expect(answerOf(callback)).toHaveProperty('code')
  })

  test.each<[string, () => Record<string, unknown>]>([
    ['without exp', () => ({ exp: undefined })],
    ['without nbf', () => ({ nbf: undefined })],
    ['valid for more than 60 minutes', () => ({ exp: now() + 3_700 })],
    ['from more than 60 minutes ago', () => ({ nbf: now() - 3_700 })],
  ])('%s is rejected', async (_what, claims) => {
    const { status, json } = await push({ request: await requestObject({ claims: claims() }) })
    expect([status, json['error']]).toEqual([400, 'invalid_request_object'])
  })
})

describe('fapi_profile', () => {
  test('completes the metadata of the client, whatever the metadata contains', async () => {
    const own = await postern.createClient({
      ...metadata,
      require_pushed_authorization_requests: false,
      dpop_bound_access_tokens: false,
    })
    expect(own).toMatchObject({
      token_endpoint_auth_method: 'private_key_jwt',
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
    })
    expect(own).not.toHaveProperty('client_secret')
  })

  test.each<[string, Record<string, unknown>]>([
    ['fapi_profile', { fapi_profile: '1.0' }],
    ['token_endpoint_auth_method', { token_endpoint_auth_method: 'client_secret_basic' }],
    ['token_endpoint_auth_method', { token_endpoint_auth_method: 'client_secret_jwt' }],
    ['token_endpoint_auth_method', { token_endpoint_auth_method: 'none' }],
    ['grant_types', { grant_types: ['authorization_code', 'implicit'] }],
    ['response_types', { response_types: ['code id_token'] }],
    ['require_pkce', { require_pkce: false }],
    ['id_token_signed_response_alg', { id_token_signed_response_alg: 'RS256' }],
    ['request_object_signing_alg', { request_object_signing_alg: 'RS256' }],
    ['token_endpoint_auth_signing_alg', { token_endpoint_auth_signing_alg: 'RS256' }],
  ])('is rejected with another %s, and the message names the field', async (field, differing) => {
    await expect(postern.createClient({ ...metadata, ...differing })).rejects.toMatchObject({
      refusal: { field, message: expect.stringContaining(field) },
    })
  })

  test('is rejected for a client that already has a secret', async () => {
    const other = await postern.createClient({ id_token_signed_response_alg: 'PS256' })
    const marked = operate(postern, 'client update', { client_id: other.client_id, fapi_profile: '2.0' })
    await expect(marked).rejects.toThrow('token_endpoint_auth_method')
  })
})

describe('CLIENT_ASSERTION_AUDIENCE=issuer (RFC 7523bis §3)', () => {
  test('rejects an assertion of any client that does not name only the issuer', async () => {
    const strict = await startPostern({ CLIENT_ASSERTION_AUDIENCE: 'issuer' })
    try {
      const machine = await strict.createClient({
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: metadata['jwks'],
      })
      const ask = async (aud: unknown) => {
        const claims = { iss: machine.client_id, sub: machine.client_id, aud }
        const client_assertion = await assertion({ claims })
        const form = { grant_type: 'client_credentials', client_assertion, client_assertion_type: assertionType }
        return (await send(strict, '/oauth/token', { form })).status
      }
      expect(await ask(strict.issuer)).toBe(200)
      for (const aud of [[strict.issuer], `${strict.issuer}/oauth/token`, [strict.issuer, 'https://other.example']]) {
        expect(await ask(aud)).toBe(401)
      }
    } finally {
      await strict.stop()
    }
  })
})
