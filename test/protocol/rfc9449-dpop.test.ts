import { createHash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, type JWK, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, discover, login } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { createKey, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
const scope = 'openid offline_access'
let postern: TestPostern
let client: ClientMetadata
let app: ClientMetadata
let own: { key: CryptoKey; jwk: JWK; jkt: string }
let foreign: typeof own

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
  app = await postern.createClient({ token_endpoint_auth_method: 'none' })
  own = await createProofKey()
  foreign = await createProofKey()
})
afterAll(() => postern?.stop())

async function createProofKey() {
  const { key, jwks } = await createKey()
  const { kty, crv, x, y } = jwks.keys[0] as Record<string, string>
  const jwk = { kty, crv, x, y } as JWK
  return { key, jwk, jkt: await calculateJwkThumbprint(jwk) }
}

type Differing = { claims?: Record<string, unknown>; header?: Record<string, unknown>; by?: typeof own }

/** Creates a proof for a request (§4.2), with the given deviations from a valid one. */
function prove(htm: string, path: string, { claims = {}, header = {}, by = own }: Differing = {}): Promise<string> {
  const iat = Math.floor(Date.now() / 1000)
  return new SignJWT({ htm, htu: `${postern.issuer}${path}`, iat, jti: randomUUID(), ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: by.jwk, ...header })
    .sign(by.key)
}

const ath = (token: string) => createHash('sha256').update(token).digest('base64url')

async function boundTokens(who = client): Promise<{ access_token: string; refresh_token: string }> {
  const begun = await authorize(postern, who, { email, scope })
  const isPublic = who === app
  const headers = { dpop: await prove('POST', '/oauth/token') }
  const { json } = await send(postern, '/oauth/token', {
    ...(!isPublic && { client: who }),
    form: {
      grant_type: 'authorization_code',
      code: String(begun.callback.searchParams.get('code')),
      redirect_uri: 'https://rp.example/cb',
      code_verifier: begun.verifier,
      ...(isPublic && { client_id: who.client_id }),
    },
    headers,
  })
  expect(json['token_type']).toBe('DPoP')
  return json as { access_token: string; refresh_token: string }
}

const userinfo = (token: string, headers: Record<string, string>, scheme = 'DPoP') =>
  send(postern, '/oauth/userinfo', { headers: { authorization: `${scheme} ${token}`, ...headers } })

describe('RFC 9449 §5: a token bound to a key', () => {
  test('can be obtained, used and refreshed with openid-client', async () => {
    const config = await discover(postern, client)
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair())
    const { callback, verifier, nonce, state } = await authorize(postern, client, { email, scope, config })
    const checks = { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state }
    const tokens = await oidc.authorizationCodeGrant(config, callback, checks, undefined, { DPoP })
    expect(tokens.token_type).toBe('dpop')
    const { sub } = await oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck, { DPoP })
    expect(sub).toBe(tokens.claims()?.sub)
    const refreshed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token), undefined, { DPoP })
    expect(refreshed.token_type).toBe('dpop')
  })

  test('§6.2: has the thumbprint of its key in introspection', async () => {
    const { access_token } = await boundTokens()
    const { json } = await send(postern, '/oauth/introspect', { client, form: { token: access_token } })
    expect(json).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt: own.jkt } })
  })

  test('§5.2: is the only kind that a client with dpop_bound_access_tokens gets', async () => {
    const strict = await postern.createClient({ dpop_bound_access_tokens: true })
    const begun = await authorize(postern, strict, { email })
    const { status, json } = await redeem(postern, begun, { client: strict })
    expect([status, json['access_token']]).toEqual([400, undefined])
  })
})

describe('RFC 9449 §7: the use of a bound token', () => {
  test('requires a proof for this request and token, made with its key', async () => {
    const { access_token: token } = await boundTokens()
    const claims = { ath: ath(token) }
    const good = await userinfo(token, { dpop: await prove('GET', '/oauth/userinfo', { claims }) })
    expect([good.status, good.json['sub']]).toEqual([200, expect.any(String)])

    const wrong: [string, Record<string, string>][] = [
      ['no proof', {}],
      ['no ath', { dpop: await prove('GET', '/oauth/userinfo') }],
      ['the ath of another token', { dpop: await prove('GET', '/oauth/userinfo', { claims: { ath: ath('other') } }) }],
      ['another htm', { dpop: await prove('POST', '/oauth/userinfo', { claims }) }],
      ['another htu', { dpop: await prove('GET', '/oauth/token', { claims }) }],
      [
        'another host',
        { dpop: await prove('GET', '', { claims: { ...claims, htu: 'https://api.example/oauth/userinfo' } }) },
      ],
      ['another key', { dpop: await prove('GET', '/oauth/userinfo', { claims, by: foreign }) }],
      ['nonsense', { dpop: 'nonsense' }],
    ]
    for (const [what, headers] of wrong) {
      const { status, json } = await userinfo(token, headers)
      expect([what, [400, 401].includes(status), json['sub']]).toEqual([what, true, undefined])
    }
  })

  test('§7.2: is rejected with the Bearer scheme', async () => {
    const { access_token: token } = await boundTokens()
    expect((await userinfo(token, {}, 'Bearer')).status).toBe(401)
    const dpop = await prove('GET', '/oauth/userinfo', { claims: { ath: ath(token) } })
    expect((await userinfo(token, { dpop }, 'Bearer')).json).not.toHaveProperty('sub')
  })

  test('§7.1: is not possible with an unbound token', async () => {
    const { tokens } = await login(postern, client, { email })
    const dpop = await prove('GET', '/oauth/userinfo', { claims: { ath: ath(tokens.access_token) } })
    expect((await userinfo(tokens.access_token, { dpop })).status).toBe(401)
  })

  test('§11.1: requires a new proof each time', async () => {
    const { access_token: token } = await boundTokens()
    const dpop = await prove('GET', '/oauth/userinfo', { claims: { ath: ath(token) } })
    expect((await userinfo(token, { dpop })).status).toBe(200)
    const again = await userinfo(token, { dpop })
    expect([again.status, again.json['sub']]).toEqual([401, undefined])
  })
})

describe('RFC 9449 §4.3: a proof at the token endpoint', () => {
  const redeemWith = async (dpop: string) => {
    const begun = await authorize(postern, client, { email })
    return send(postern, '/oauth/token', {
      client,
      form: {
        grant_type: 'authorization_code',
        code: String(begun.callback.searchParams.get('code')),
        redirect_uri: 'https://rp.example/cb',
        code_verifier: begun.verifier,
      },
      headers: { dpop },
    })
  }

  test.each<[string, Differing]>([
    ['another htm', { claims: { htm: 'GET' } }],
    ['another htu', { claims: { htu: 'https://other.example/oauth/token' } }],
    ['no jti', { claims: { jti: undefined } }],
    ['no iat', { claims: { iat: undefined } }],
    ['another typ', { header: { typ: 'JWT' } }],
    ['no key', { header: { jwk: undefined } }],
  ])('is rejected with %s', async (_what, differing) => {
    const { status, json } = await redeemWith(await prove('POST', '/oauth/token', differing))
    expect([status, json['error']]).toEqual([400, 'invalid_dpop_proof'])
  })

  test('is rejected when it is signed with another key than it shows', async () => {
    const { status, json } = await redeemWith(await prove('POST', '/oauth/token', { header: { jwk: foreign.jwk } }))
    expect([status, json['error']]).toEqual([400, 'invalid_dpop_proof'])
  })

  test('is rejected when it shows a private key', async () => {
    const jwk = await exportJWK(own.key)
    const { status, json } = await redeemWith(await prove('POST', '/oauth/token', { header: { jwk } }))
    expect([status, json['error']]).toEqual([400, 'invalid_dpop_proof'])
  })

  test('is accepted once, even for another code', async () => {
    const dpop = await prove('POST', '/oauth/token')
    expect((await redeemWith(dpop)).status).toBe(200)
    const again = await redeemWith(dpop)
    expect([again.status, again.json['access_token']]).toEqual([400, undefined])
  })

  test('§8: is answered with a nonce if it is too old, and accepted with that nonce', async () => {
    const iat = Math.floor(Date.now() / 1000) - 3_600
    const old = await redeemWith(await prove('POST', '/oauth/token', { claims: { iat } }))
    expect([old.status, old.json['error']]).toEqual([400, 'use_dpop_nonce'])
    const nonce = old.headers.get('dpop-nonce')
    expect(nonce).toBeTruthy()
    expect((await redeemWith(await prove('POST', '/oauth/token', { claims: { iat, nonce } }))).status).toBe(200)
  })

  test('§8: is rejected with a nonce that the server did not issue, and a valid nonce is offered', async () => {
    const { status, json, headers } = await redeemWith(
      await prove('POST', '/oauth/token', { claims: { nonce: 'made-up' } }),
    )
    expect([status, json['error']]).toEqual([400, 'use_dpop_nonce'])
    expect(headers.get('dpop-nonce')).toBeTruthy()
  })
})

describe('RFC 9449 §10: a code bound to a key with dpop_jkt', () => {
  const redeemBound = async (headers: Record<string, string>) => {
    const begun = await authorize(postern, client, { email, dpop_jkt: own.jkt })
    const form = {
      grant_type: 'authorization_code',
      code: String(begun.callback.searchParams.get('code')),
      redirect_uri: 'https://rp.example/cb',
      code_verifier: begun.verifier,
    }
    return send(postern, '/oauth/token', { client, form, headers })
  }

  test('can be redeemed only with a proof of that key', async () => {
    expect((await redeemBound({ dpop: await prove('POST', '/oauth/token') })).status).toBe(200)
    for (const headers of [{}, { dpop: await prove('POST', '/oauth/token', { by: foreign }) }]) {
      const { status, json } = await redeemBound(headers)
      expect([status, json['access_token']]).toEqual([400, undefined])
      expect(json['error']).toBe('invalid_grant')
    }
  })

  test('§10.1: requires a pushed request to come with a proof of that key', async () => {
    const config = await discover(postern, client)
    const form = {
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: 'https://rp.example/cb',
      code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
      code_challenge_method: 'S256',
      scope: 'openid',
      dpop_jkt: foreign.jkt,
    }
    expect(config.serverMetadata().pushed_authorization_request_endpoint).toBe(`${postern.issuer}/oauth/par`)
    const headers = { dpop: await prove('POST', '/oauth/par') }
    const mismatch = await send(postern, '/oauth/par', { client, form, headers })
    expect([mismatch.status, mismatch.json['request_uri']]).toEqual([400, undefined])
  })
})

describe('RFC 9449 §5: a device that redeems its code with a proof', () => {
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'

  test('gets tokens bound to that key if the proof is valid and new', async () => {
    const { client_id } = await postern.createClient({
      ...{ grant_types: [grant_type, 'refresh_token'], redirect_uris: [], response_types: [] },
      ...{ token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true },
    })
    const asked = { form: { client_id, scope } }
    const { user_code, device_code } = (await send(postern, '/oauth/device_authorization', asked)).json as {
      user_code: string
      device_code: string
    }
    const visitor = createVisitor(postern.issuer)
    const entered = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
    const signIn = await visitor.submit(entered, '/device', { confirm: 'yes' })
    await visitor.allow(await visitor.signIn(signIn, email))

    const ask = (form: Record<string, string>, dpop?: string) =>
      send(postern, '/oauth/token', { form: { client_id, ...form }, headers: { ...(dpop !== undefined && { dpop }) } })
    const poll = (dpop?: string) => ask({ grant_type, device_code }, dpop)
    for (const proof of [undefined, await prove('POST', '/oauth/userinfo')]) {
      const { status, json } = await poll(proof)
      expect([status, json['access_token']]).toEqual([400, undefined])
    }
    const used = await prove('POST', '/oauth/token')
    const { json } = await poll(used)
    expect(json['token_type']).toBe('DPoP')

    const refresh = { grant_type: 'refresh_token', refresh_token: String(json['refresh_token']) }
    for (const proof of [undefined, used, await prove('POST', '/oauth/token', { by: foreign })]) {
      expect((await ask(refresh, proof)).status).toBe(400)
    }
    expect((await ask(refresh, await prove('POST', '/oauth/token'))).status).toBe(200)
  })
})

describe('RFC 9449 §5: a refresh token', () => {
  const refresh = async (refresh_token: string, headers: Record<string, string>) =>
    send(postern, '/oauth/token', {
      form: { grant_type: 'refresh_token', refresh_token, client_id: app.client_id },
      headers,
    })

  test('is bound to the key of the login for a public client: it is rejected without a proof, or with another key', async () => {
    const { refresh_token } = await boundTokens(app)
    for (const headers of [{}, { dpop: await prove('POST', '/oauth/token', { by: foreign }) }]) {
      const { status, json } = await refresh(refresh_token, headers)
      expect([status, json['access_token'], json['refresh_token']]).toEqual([400, undefined, undefined])
    }
    const good = await refresh(refresh_token, { dpop: await prove('POST', '/oauth/token') })
    expect([good.status, good.json['token_type']]).toEqual([200, 'DPoP'])
    const successor = String(good.json['refresh_token'])
    expect((await refresh(successor, { dpop: await prove('POST', '/oauth/token', { by: foreign }) })).status).toBe(400)
  })

  test('is bound by the secret of a confidential client, so the key may change', async () => {
    const { refresh_token } = await boundTokens()
    const { status, json } = await send(postern, '/oauth/token', {
      client,
      form: { grant_type: 'refresh_token', refresh_token },
      headers: { dpop: await prove('POST', '/oauth/token', { by: foreign }) },
    })
    expect([status, json['token_type']]).toEqual([200, 'DPoP'])
  })
})
