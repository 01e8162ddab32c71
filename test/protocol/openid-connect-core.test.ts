import { createHmac } from 'node:crypto'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { idTokenAlg } from '../support/id-tokens.ts'
import { operate } from '../support/operator.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { createToken, register, registered } from '../support/registration.ts'
import { authorize, beginLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor, tickboxes } from '../support/visitor.ts'
import { answerOf, publishedKeys, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
let postern: TestPostern
let sub: string

beforeAll(async () => {
  postern = await startPostern()
  const account = await postern.createAccount(email, { name: 'Ada Lovelace', nickname: 'Ada', locale: 'en-GB' })
  sub = account.id
  await postern.createResource({ identifier: 'https://userinfo-not.example/' })
})
afterAll(() => postern?.stop())

describe('OpenID Connect Core §3.1: the authorization code flow', () => {
  test('gives tokens, and only the claims that the person consented to', async () => {
    const client = await postern.createClient()
    const { config, tokens } = await login(postern, client, {
      email,
      scope: 'openid profile email offline_access',
      scopes: ['profile', 'offline_access'],
    })
    const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, sub)
    expect(userinfo).toMatchObject({ sub, name: 'Ada Lovelace' })
    expect(userinfo).not.toHaveProperty('email')
    const refreshed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
    expect(refreshed.refresh_token).not.toBe(tokens.refresh_token)
  })

  test('returns its issuer and the state in the response (RFC 9207 §2)', async () => {
    const { callback } = await login(postern, await postern.createClient(), { email })
    expect(answerOf(callback)).toMatchObject({ iss: postern.issuer, state: expect.any(String) })
  })

  test('§3.1.2.6: returns access_denied instead of a code when the person cancels', async () => {
    const config = await discover(postern, await postern.createClient())
    const { page, visitor } = await beginLogin(config, { issuer: postern.issuer })
    expect(answerOf((await visitor.submit(page, '/abort')).url)).toMatchObject({ error: 'access_denied' })
  })

  test('§3.1.2.6: returns access_denied instead of a code when the person denies', async () => {
    const config = await discover(postern, await postern.createClient())
    const { page, visitor } = await beginLogin(config, { issuer: postern.issuer })
    const consent = await visitor.signIn(page, email)
    const { url } = await visitor.submit(consent, '/consent', { decision: 'deny' })
    expect(answerOf(url)).toMatchObject({ error: 'access_denied' })
    expect(answerOf(url)).not.toHaveProperty('code')
  })

  test('§3.1.2.1: shows an error, and never redirects, for a redirect_uri that is not exactly a registered one', async () => {
    const config = await discover(postern, await postern.createClient())
    for (const redirect_uri of [
      'https://rp.example/cb/',
      'https://rp.example/cb?x=1',
      'https://rp.example/CB',
      'https://rp.example:443/cb',
      'https://rp.example/cb/../cb',
      'https://rp.example/cb#f',
      'https://evil.example/cb',
      'https://rp.example@evil.example/cb',
      undefined,
    ]) {
      const { page } = await beginLogin(config, { issuer: postern.issuer, redirect_uri })
      expect([redirect_uri, page.status, new URL(page.url).origin]).toEqual([redirect_uri, 400, postern.issuer])
    }
  })

  test('§3.1.2.2: rejects a repeated parameter', async () => {
    const config = await discover(postern, await postern.createClient())
    const url = oidc.buildAuthorizationUrl(config, { redirect_uri: 'https://rp.example/cb', scope: 'openid' })
    url.searchParams.append('scope', 'openid email')
    const page = await createVisitor(postern.issuer).get(url.href)
    expect(answerOf(page.url)['error'] ?? page.status).toBe('invalid_request')
  })

  test('§3.1.2.2: shows an error page for a client that does not exist', async () => {
    const page = await createVisitor(postern.issuer).get(
      '/oauth/authorize?client_id=nobody&response_type=code&scope=openid&redirect_uri=https://rp.example/cb',
    )
    expect([page.status, new URL(page.url).origin]).toEqual([400, postern.issuer])
    expect(page.body).toContain('invalid_client')
  })

  test('§3.1.3.2: rejects a code with another redirect_uri', async () => {
    const client = await postern.createClient({ redirect_uris: ['https://rp.example/cb', 'https://rp.example/other'] })
    for (const redirect_uri of ['https://rp.example/other', 'https://rp.example/cb/']) {
      const answer = await redeem(postern, await authorize(postern, client, { email }), { client, redirect_uri })
      expect([redirect_uri, answer.status, answer.json['error']]).toEqual([redirect_uri, 400, 'invalid_grant'])
    }
    const omitted = await authorize(postern, client, { email })
    expect((await redeem(postern, omitted, { client, redirect_uri: undefined })).status).toBe(400)
  })

  test('§3.1.3.6: names the subject and the issuer in the ID token, and the time of the sign-in if max_age is requested', async () => {
    const client = await postern.createClient()
    const { tokens } = await login(postern, client, { email, max_age: '600' })
    const { payload } = await jwtVerify(String(tokens.id_token), await publishedKeys(postern), {
      issuer: postern.issuer,
      audience: client.client_id,
    })
    expect(payload).toMatchObject({ sub, auth_time: expect.any(Number), nonce: expect.any(String) })
    expect(payload).not.toHaveProperty('name')
  })
})

describe('OpenID Connect Core §15.1: ID tokens', () => {
  test.each(['RS256', 'PS256', 'ES256', 'EdDSA'])(
    'are signed with %s if the client registered for it, and verified with the published keys',
    async (alg) => {
      const client = await postern.createClient({ id_token_signed_response_alg: alg })
      const { tokens } = await login(postern, client, { email })
      const token = String(tokens.id_token)
      expect(decodeProtectedHeader(token)).toMatchObject({ alg, kid: expect.any(String) })
      const { payload } = await jwtVerify(token, await publishedKeys(postern), {
        issuer: postern.issuer,
        audience: client.client_id,
        algorithms: [alg],
      })
      expect(payload.sub).toBe(sub)
    },
  )

  test(`are signed with ${idTokenAlg} for the test clients that name no algorithm, however they are registered, even after a refresh`, async () => {
    const grant_types = ['authorization_code', 'refresh_token']
    const clients = [
      await postern.createClient(),
      await registered(postern, await createToken(postern), { grant_types }),
    ]
    for (const client of clients) {
      const { config, tokens } = await login(postern, client, { email, scope: 'openid offline_access' })
      const refreshed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
      const algorithms = [tokens, refreshed].map(({ id_token }) => decodeProtectedHeader(String(id_token)).alg)
      expect(algorithms).toEqual([idTokenAlg, idTokenAlg])
    }
  })

  test.each(['none', 'HS256', 'ES512'])('are never signed with %s', async (alg) => {
    await expect(postern.createClient({ id_token_signed_response_alg: alg })).rejects.toThrow(
      /id_token_signed_response_alg/,
    )
  })

  test('are verified with keys that are published without any private member', async () => {
    const { keys } = (await send(postern, '/oauth/jwks')).json as { keys: Record<string, unknown>[] }
    // Each algorithm has one key, and a second one once the next key exists.
    expect(new Set(keys.map(({ alg }) => alg))).toEqual(new Set(['RS256', 'PS256', 'ES256', 'EdDSA', idTokenAlg]))
    for (const key of keys)
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'priv']) expect(key).not.toHaveProperty(secret)
  })
})

describe('OpenID Connect Core §5.3: userinfo', () => {
  test('§5.3.1: answers GET and POST, and accepts a token in the body of a POST', async () => {
    const { tokens } = await login(postern, await postern.createClient(), { email, scope: 'openid email' })
    const expected = { sub, email, email_verified: true }
    const got = await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })
    const posted = await send(postern, '/oauth/userinfo', { method: 'POST', bearer: tokens.access_token })
    const inBody = await send(postern, '/oauth/userinfo', { form: { access_token: tokens.access_token } })
    expect([got.json, posted.json, inBody.json]).toEqual([expected, expected, expected])
  })

  test('§5.3.2: is a signed JWT for a client that registered for it', async () => {
    const client = await postern.createClient({ userinfo_signed_response_alg: 'ES256' })
    const { config, tokens } = await login(postern, client, { email, scope: 'openid profile' })
    const answer = await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })
    expect(answer.headers.get('content-type')).toMatch(/^application\/jwt\b/)
    const { payload } = await jwtVerify(answer.text, await publishedKeys(postern), {
      issuer: postern.issuer,
      audience: client.client_id,
      algorithms: ['ES256'],
    })
    expect(payload).toMatchObject({ sub, name: 'Ada Lovelace' })
    expect(await oidc.fetchUserInfo(config, tokens.access_token, sub)).toMatchObject({ name: 'Ada Lovelace' })
  })

  test('§5.3.3: rejects a missing token, an unknown one and a refresh token, and says how to authenticate (RFC 6750 §3)', async () => {
    const { tokens } = await login(postern, await postern.createClient(), { email, scope: 'openid offline_access' })
    const none = await send(postern, '/oauth/userinfo')
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('Bearer')])
    expect(none.headers.get('www-authenticate')).not.toContain('error=')
    for (const bearer of [
      'unknown',
      `${tokens.access_token}x`,
      tokens.access_token.slice(0, -1),
      tokens.refresh_token,
    ]) {
      const { status, headers } = await send(postern, '/oauth/userinfo', { bearer: String(bearer) })
      expect([status, headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('error="invalid_token"')])
    }
  })

  test('§5.3.1: rejects a token that was issued without openid', async () => {
    const client = await postern.createClient()
    const { tokens } = await login(postern, client, {
      email,
      scope: 'openid read',
      resource: 'https://userinfo-not.example/',
      tokenParameters: { resource: 'https://userinfo-not.example/' },
    })
    const { status, json } = await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })
    expect([status, json['error']]).toEqual([403, 'insufficient_scope'])
  })
})

describe('OpenID Connect Core §5.5: the claims parameter', () => {
  const claims = JSON.stringify({
    id_token: { nickname: null, auth_time: { essential: true } },
    userinfo: { locale: null },
  })

  test('returns single claims in the requested places, after consent', async () => {
    const { config, tokens } = await login(postern, await postern.createClient(), { email, claims })
    expect(tokens.claims()).toMatchObject({ nickname: 'Ada', auth_time: expect.any(Number) })
    expect(tokens.claims()).not.toHaveProperty('locale')
    const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, sub)
    expect(userinfo).toEqual({ sub, locale: 'en-GB' })
  })

  test('omits a claim that was not ticked', async () => {
    const config = await discover(postern, await postern.createClient())
    const { page, visitor, ...begun } = await beginLogin(config, { issuer: postern.issuer, claims })
    const consent = await visitor.signIn(page, email)
    expect(tickboxes(consent.body).filter(({ name }) => name === 'claim')).toHaveLength(2)
    const { url } = await visitor.submit(consent, '/consent', { decision: 'allow', scope: 'openid', claim: 'locale' })
    const tokens = await oidc.authorizationCodeGrant(config, new URL(url), {
      pkceCodeVerifier: begun.verifier,
      expectedNonce: begun.nonce,
      expectedState: begun.state,
    })
    expect(tokens.claims()).not.toHaveProperty('nickname')
  })

  test.each([{}, { first_party: true }])(
    'yields no claim, and asks for none, without a matching scope of the client: %o',
    async (metadata) => {
      const client = await postern.createClient({ scope: 'openid email', ...metadata })
      const asked = { id_token: { nickname: null, email: null, acr: null }, userinfo: { locale: null, email: null } }
      const { config, tokens } = await login(postern, client, { email, claims: JSON.stringify(asked) })
      expect(tokens.claims()).toMatchObject({ email })
      expect(tokens.claims()).not.toHaveProperty('nickname')
      expect(await oidc.fetchUserInfo(config, tokens.access_token, sub)).toEqual({ sub, email })
      const [grant] = await postern.database.query('select payload from grants where client_id = $1', [
        client.client_id,
      ])
      expect(grant).toMatchObject({ payload: { openid: { claims: ['email'] } } })
    },
  )

  test('yields nothing once the client loses the scope', async () => {
    const client = await postern.createClient({ scope: 'openid profile' })
    const { config, tokens } = await login(postern, client, { email, claims })
    await operate(postern, 'client update', { client_id: client.client_id, scope: 'openid' })
    await vi.waitFor(async () => expect(await oidc.fetchUserInfo(config, tokens.access_token, sub)).toEqual({ sub }), {
      timeout: 120_000,
    })
  })

  test.each(['[]', '{', '{"id_token":[]}', '{"id_token":{"acr":{"essential":true,"values":"x"}}}'])(
    'rejects %s',
    async (malformed) => {
      const config = await discover(postern, await postern.createClient())
      const { page } = await beginLogin(config, { issuer: postern.issuer, claims: malformed })
      expect(answerOf(page.url)).toMatchObject({ error: 'invalid_request' })
    },
  )
})

describe('OpenID Connect Core §5.1: updated_at', () => {
  const person = 'grace@example.com'
  const updatedAt = async () => {
    const { config, tokens } = await login(postern, await postern.createClient(), {
      email: person,
      scope: 'openid profile',
    })
    return (await oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck))['updated_at']
  }
  const longAgo = () =>
    postern.database.query(`update accounts set updated_at = '2001-09-09T01:46:40.9Z' where email = $1`, [person])

  test('is the time when a claim of the person last changed, in seconds since 1970', async () => {
    await postern.createAccount(person)
    await longAgo()
    expect(await updatedAt()).toBe(1_000_000_000)
    await operate(postern, 'account update', { account: person, claims: { name: 'Grace Hopper' } })
    const now = Date.now() / 1000
    expect(await updatedAt()).toSatisfy((at) => Number.isInteger(at) && at > now - 60 && at <= now + 1)
  })

  test.each<[string, Record<string, unknown>]>([
    ['account set-password', { password }],
    ['account disable', {}],
    ['account enable', {}],
  ])('is not changed by %s', async (operation, input) => {
    await longAgo()
    await operate(postern, operation, { account: person, ...input })
    await operate(postern, 'account enable', { account: person })
    expect(await updatedAt()).toBe(1_000_000_000)
  })

  test.each(['create', 'update'])('cannot be set by an operator: account %s', async (verb) => {
    const named = verb === 'create' ? { email: 'new@example.com', password } : { account: person }
    const asked = operate(postern, `account ${verb}`, { ...named, claims: { updated_at: 1 } })
    await expect(asked).rejects.toThrow('updated_at')
  })
})

describe('OpenID Connect Core §8: subject identifiers', () => {
  const subOf = async (metadata: Record<string, unknown>, redirect_uri?: string) => {
    const client = await postern.createClient(metadata)
    const { tokens } = await login(postern, client, { email, ...(redirect_uri && { redirect_uri }) })
    return String(tokens.claims()?.sub)
  }

  test('§8.1: pairwise ones are equal within a sector, differ between sectors, and are not the account ID', async () => {
    const pairwise = { subject_type: 'pairwise' }
    const one = await subOf(pairwise)
    const same = await subOf({ ...pairwise, redirect_uris: ['https://rp.example/other'] }, 'https://rp.example/other')
    const other = await subOf({ ...pairwise, redirect_uris: ['https://b.example/cb'] }, 'https://b.example/cb')
    expect(same).toBe(one)
    expect(new Set([one, other, sub]).size).toBe(3)
  })

  test('§8.1: each app without a host on the web is its own sector, whatever its redirect URI', async () => {
    const native = { subject_type: 'pairwise', application_type: 'native' }
    const uris = [
      ['com.bank.app:/cb', 'org.tracker.game:/cb', 'com.bank.app:/other'],
      ['http://127.0.0.1/cb', 'http://127.0.0.1/other', 'http://[::1]/cb', 'http://localhost/cb'],
    ].flat()
    const subjects: string[] = []
    for (const uri of uris) subjects.push(await subOf({ ...native, redirect_uris: [uri] }, uri))
    expect(new Set([...subjects, sub]).size).toBe(uris.length + 1)
  })

  const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code'
  const device = { subject_type: 'pairwise', grant_types: [deviceCode], redirect_uris: [], response_types: [] }
  const ofBank = { jwks_uri: 'https://bank.example/jwks' }
  const alsoOnWeb = {
    grant_types: ['authorization_code', deviceCode],
    redirect_uris: ['https://bank.example/cb'],
    response_types: ['code'],
  }
  test.each([
    ['none', {}],
    ['none', ofBank],
    ['none', { ...ofBank, ...alsoOnWeb }],
    ['client_secret_basic', {}],
    ['client_secret_basic', ofBank],
    ['client_secret_basic', { ...ofBank, ...alsoOnWeb }],
    ['private_key_jwt', {}],
    ['private_key_jwt', { ...ofBank, ...alsoOnWeb }],
  ])(
    '§8.1: a device that authenticates with %s belongs to no host without proof of its keys: %o',
    async (method, more) => {
      const metadata = { ...device, token_endpoint_auth_method: method, ...more }
      const { status, json } = await register(postern, metadata, await createToken(postern))
      expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
    },
  )

  test('§8.1: pairwise ones of a web client stay stable: they depend only on its host', async () => {
    const salt = postern.server.postern.keyring.pairwiseSalt.reveal()
    const expected = createHmac('sha256', salt).update(`rp.example\0${sub}`).digest('base64url')
    expect(await subOf({ subject_type: 'pairwise' })).toBe(expected)
  })

  test('§8.1: pairwise ones are the same in the ID token, userinfo and introspection', async () => {
    const client = await postern.createClient({ subject_type: 'pairwise' })
    const { config, tokens } = await login(postern, client, { email })
    const pairwise = String(tokens.claims()?.sub)
    expect((await oidc.fetchUserInfo(config, tokens.access_token, pairwise)).sub).toBe(pairwise)
    expect(await oidc.tokenIntrospection(config, tokens.access_token)).toMatchObject({ active: true, sub: pairwise })
  })

  test('§8.1: pairwise ones for redirect URIs on several hosts require a sector_identifier_uri', async () => {
    const redirect_uris = ['https://a.example/cb', 'https://b.example/cb']
    await expect(postern.createClient({ subject_type: 'pairwise', redirect_uris })).rejects.toThrow(/sector/)
  })
})
