import { createLocalJWKSet, decodeProtectedHeader, generateKeyPair, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { requireToken } from '../../src/resource-server/index.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { halfHash } from '../support/id-tokens.ts'
import { rotateUntil, signingKid } from '../support/keys.ts'
import { operate } from '../support/operator.ts'
import { serveBeside, startPostern, type TestPostern } from '../support/postern.ts'
import { createToken, redirect_uris, register, registered } from '../support/registration.ts'
import { authorize, discover, login } from '../support/relying-party.ts'
import { answerOf, knock, publishedKeys, send } from '../support/wire.ts'

const email = 'ada@example.com'
const alg = 'ML-DSA-65'
const signatureBytes = 3_309 // FIPS 204 §4, table 2
const documentClient = 'https://apps.example/notes'
const members = ['id_token', 'userinfo', 'introspection', 'authorization'] as const
const post_logout_redirect_uri = 'https://rp.example/bye'
const inIdTokens = { id_token_signed_response_alg: alg }
const apis = { opaque: 'https://opaque.example/', jwt: 'https://jwt.example/' }
const forApi = (resource: string) => ({ email, scope: 'openid read', resource, tokenParameters: { resource } })

const metadataOf = async (postern: TestPostern) =>
  (await send(postern, '/.well-known/openid-configuration')).json as Record<string, string[]>
const published = async (postern: TestPostern) =>
  (await send(postern, '/oauth/jwks')).json['keys'] as Record<string, unknown>[]

describe('without ALLOW_ML_DSA', () => {
  let postern: TestPostern
  beforeAll(async () => {
    postern = await startPostern({ ALLOW_ML_DSA: 'false' })
  })
  afterAll(() => postern?.stop())

  test('ML-DSA is offered nowhere and has no key', async () => {
    expect(JSON.stringify(await metadataOf(postern))).not.toContain('ML-DSA')
    expect((await published(postern)).map(({ kty }) => kty)).not.toContain('AKP')
  })

  test.each(members)('a registration with it in %s_signed_response_alg is rejected with the reason', async (member) => {
    const field = `${member}_signed_response_alg`
    await expect(operate(postern, 'client create', { redirect_uris, [field]: alg })).rejects.toMatchObject({
      refusal: { field },
    })
    const { status, json } = await register(postern, { redirect_uris, [field]: alg }, await createToken(postern))
    expect([status, json]).toEqual([
      400,
      { error: 'invalid_client_metadata', error_description: expect.stringContaining(field) },
    ])
  })
})

describe('RFC 9964: with ALLOW_ML_DSA', () => {
  let postern: TestPostern
  let client: ClientMetadata
  beforeAll(async () => {
    postern = await startPostern(
      { ALLOW_ML_DSA: 'true', ALLOW_IMPLICIT_AND_HYBRID: 'true', CLIENT_ID_METADATA_DOCUMENTS: 'apps.example' },
      // This host does not exist, so nothing is fetched from the network.
      { fetch: async () => Response.json({ client_id: documentClient, redirect_uris, ...inIdTokens }) },
    )
    await postern.createAccount(email)
    client = await postern.createClient({
      ...Object.fromEntries(members.map((member) => [`${member}_signed_response_alg`, alg])),
      grant_types: ['authorization_code', 'refresh_token', 'implicit'],
      response_types: ['code', 'code id_token', 'id_token token'],
      post_logout_redirect_uris: [post_logout_redirect_uri],
    })
    await postern.createResource({ identifier: apis.opaque, clientId: client.client_id })
    await postern.createResource({ identifier: apis.jwt, tokenFormat: 'jwt' })
  })
  afterAll(() => postern?.stop())

  /** Returns the claims of a token after verifying it with this algorithm and a published key. */
  async function verified(token: unknown, audience = client.client_id): Promise<Record<string, unknown>> {
    const options = { algorithms: [alg], issuer: postern.issuer, audience }
    return (await jwtVerify(String(token), await publishedKeys(postern), options)).payload
  }

  /** Returns where a sign-out without a session leads: back to the app if the hint is verified. */
  const leave = async (id_token_hint: string) =>
    (
      await send(postern, `/oauth/logout?${new URLSearchParams({ id_token_hint, post_logout_redirect_uri })}`)
    ).headers.get('location')

  test('it is offered for everything that the server signs, besides other algorithms, and for nothing that clients sign', async () => {
    const metadata = await metadataOf(postern)
    for (const member of members) {
      expect(metadata[`${member}_signing_alg_values_supported`], member).toEqual(
        expect.arrayContaining(['RS256', 'PS256', 'ES256', 'EdDSA', alg]),
      )
    }
    const offering = Object.keys(metadata).filter((member) => JSON.stringify(metadata[member]).includes('ML-DSA'))
    expect(offering.sort()).toEqual(members.map((member) => `${member}_signing_alg_values_supported`).sort())
  })

  test('§3: its key is published as an algorithm key pair, without private members', async () => {
    const isPublic = {
      kty: 'AKP',
      alg,
      use: 'sig',
      kid: expect.any(String),
      pub: expect.stringMatching(/^[\w-]{2603}$/),
    }
    const keys = (await published(postern)).filter(({ kty }) => kty === 'AKP')
    const rows = await postern.database.query('select public_jwk from keys where purpose = $1', [alg])
    expect(keys.map(({ kid }) => kid)).toContain(signingKid(postern, alg))
    for (const key of [...keys, ...rows.map(({ public_jwk }) => public_jwk)]) expect(key).toEqual(isPublic)
  })

  test.each<[string, () => Promise<ClientMetadata>]>([
    ['an administrator', () => postern.createClient(inIdTokens)],
    ['the client itself', async () => registered(postern, await createToken(postern), inIdTokens)],
    ['a document', async () => ({ client_id: documentClient, token_endpoint_auth_method: 'none', ...inIdTokens })],
  ])('a client that is registered for it by %s gets ID tokens that jose verifies', async (_who, make) => {
    const made = await make()
    const { tokens } = await login(postern, made, { email })
    const [header, , signature] = String(tokens.id_token).split('.')
    expect(JSON.parse(Buffer.from(String(header), 'base64url').toString())).toEqual({
      alg,
      kid: signingKid(postern, alg),
    })
    expect(Buffer.from(String(signature), 'base64url')).toHaveLength(signatureBytes)
    expect(await verified(tokens.id_token, made.client_id)).toMatchObject({ sub: tokens.claims()?.sub })
  })

  test('a client that does not register for it gets RS256', async () => {
    const plain = await postern.createClient({ id_token_signed_response_alg: undefined })
    const { tokens } = await login(postern, plain, { email })
    expect(decodeProtectedHeader(String(tokens.id_token)).alg).toBe('RS256')
  })

  test('userinfo, introspection and authorization responses are signed with it', async () => {
    const config = await discover(postern, client)
    oidc.useJwtResponseMode(config)
    const { callback } = await authorize(postern, client, { email, config, response_mode: 'jwt' })
    expect(await verified(callback.searchParams.get('response'))).toMatchObject({ code: expect.any(String) })

    const { tokens } = await login(postern, client, { email })
    const bearer = tokens.access_token
    const userinfo = await send(postern, '/oauth/userinfo', { bearer })
    expect(await verified(userinfo.text)).toMatchObject({ sub: tokens.claims()?.sub })
    const answer = await send(postern, '/oauth/introspect', {
      client,
      form: { token: bearer },
      headers: { accept: 'application/token-introspection+jwt' },
    })
    expect(await verified(answer.text)).toMatchObject({ token_introspection: { active: true } })
  })

  test('hashes in ID tokens are 64 bytes of SHAKE256 (OpenID Connect Token Hash Algorithms 1.0), as openid-client expects', async () => {
    const config = await discover(postern, client)
    oidc.useCodeIdTokenResponseType(config)
    const { callback, verifier, nonce, state } = await authorize(postern, client, { email, config })
    const { code, id_token } = answerOf(callback)
    expect(await verified(id_token)).toMatchObject({ c_hash: halfHash(code, alg) })
    const checks = { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state }
    await oidc.authorizationCodeGrant(config, callback, checks)

    const implicit = answerOf((await authorize(postern, client, { email, response_type: 'id_token token' })).callback)
    expect(await verified(implicit['id_token'])).toMatchObject({ at_hash: halfHash(implicit['access_token'], alg) })
  })

  test('JWT access tokens still use RS256, which every API must support (RFC 9068 §2.1)', async () => {
    const { tokens } = await login(postern, client, forApi(apis.jwt))
    expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ alg: 'RS256', typ: 'at+jwt' })
  })

  test('an API with postern/resource-server accepts introspection that is signed with it', async () => {
    const { tokens } = await login(postern, client, forApi(apis.opaque))
    const { request } = requireToken({
      issuer: postern.issuer,
      audience: apis.opaque,
      scopes: ['read'],
      introspection: { clientId: client.client_id, clientSecret: String(client['client_secret']), signed: true },
    })
    const headers = { authorization: `Bearer ${tokens.access_token}` }
    expect(await request(new Request(apis.opaque, { headers }))).toMatchObject({ scope: 'read' })
  })

  test('an ID token with all claims fits in a URI that every server accepts (RFC 9110 §4.1), and signs out', async () => {
    await postern.createAccount('ada.king@example.com', {
      name: 'Augusta Ada King, Countess of Lovelace',
      picture: `https://images.example/${'a'.repeat(200)}`,
      address: { formatted: '12 St James’s Square, London SW1Y 4JH, United Kingdom' },
    })
    const claims = JSON.stringify({ id_token: { name: null, picture: null, address: null, email: null } })
    const scope = 'openid profile email address'
    const asked = { email: 'ada.king@example.com', scope, claims }
    const { config, tokens, visitor } = await login(postern, client, asked)
    expect(tokens.claims()).toMatchObject({ picture: expect.any(String), address: expect.any(Object) })
    const id_token_hint = String(tokens.id_token)
    const url = oidc.buildEndSessionUrl(config, { id_token_hint, post_logout_redirect_uri, state: 'xyz' })
    expect(url.href.length).toBeLessThan(8_000)
    const left = await visitor.get(url.href)
    expect(left.url).toBe(`${post_logout_redirect_uri}?state=xyz`)
  })

  test('a hint with a changed signature, or with another key’s signature under the same kid, is rejected', async () => {
    const { tokens } = await login(postern, client, { email })
    const hint = String(tokens.id_token)
    const end = hint.lastIndexOf('.') + 1
    const changed = `${hint.slice(0, end)}${hint[end] === 'A' ? 'B' : 'A'}${hint.slice(end + 1)}`
    const { privateKey } = await generateKeyPair(alg)
    const forged = await new SignJWT({ ...tokens.claims() })
      .setProtectedHeader({ alg, kid: signingKid(postern, alg) })
      .sign(privateKey)
    expect(await leave(hint)).toBe(post_logout_redirect_uri)
    for (const id_token_hint of [changed, forged]) {
      await expect(verified(id_token_hint)).rejects.toThrow('signature verification failed')
      expect(await leave(id_token_hint)).toBe('/oauth/logout/success?returned=no')
    }
  })

  test('once it is turned off, its clients get an error that names the field, others still work, and its signatures stay valid', async () => {
    const plain = await postern.createClient({ id_token_signed_response_alg: 'ES256' })
    const { tokens } = await login(postern, client, { email })
    const server = await serveBeside(postern, { ALLOW_ML_DSA: 'false' })
    const { host } = new URL(postern.issuer)
    const ask = (path: string) => knock(server.port, path, { headers: { host } })
    const begin = async ({ client_id }: ClientMetadata) => (await ask(`/oauth/authorize?client_id=${client_id}`)).text
    try {
      expect(await begin(client)).toMatch(/invalid_client_metadata.*id_token_signed_response_alg must be/s)
      expect(await begin(plain)).toMatch(/invalid_request.*missing required parameter/s)
      const keys = createLocalJWKSet((await ask('/oauth/jwks')).json as unknown as JSONWebKeySet)
      expect((await jwtVerify(String(tokens.id_token), keys)).protectedHeader).toMatchObject({ alg })
    } finally {
      await server.stop()
    }
  })

  test('its key rotates like any other: the next one signs, and earlier signatures stay valid', async () => {
    const before = await login(postern, client, { email })
    const kid = signingKid(postern, alg)
    await rotateUntil(postern, new Date(Date.now() + 31 * 86_400_000))
    const after = await login(postern, client, { email })
    expect(decodeProtectedHeader(String(after.tokens.id_token)).kid).not.toBe(kid)
    for (const { tokens } of [before, after]) {
      expect(await verified(tokens.id_token)).toHaveProperty('sub')
      expect(await leave(String(tokens.id_token))).toBe(post_logout_redirect_uri)
    }
  })
})
