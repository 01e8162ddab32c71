import { decodeJwt, decodeProtectedHeader, generateKeyPair, jwtVerify, SignJWT, UnsecuredJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { discover, login } from '../support/relying-party.ts'
import { age, publishedKeys, send } from '../support/wire.ts'

const email = 'ada@example.com'
const scope = 'openid offline_access'
const resource = 'https://api.example/'
const forApi = { email, scope: 'openid read', resource, tokenParameters: { resource } }
const jwtForm = { accept: 'application/token-introspection+jwt' }
let postern: TestPostern
let client: ClientMetadata
let api: ClientMetadata
let stranger: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient()
  const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  api = await postern.createClient({ ...machine, introspection_signed_response_alg: 'ES256' })
  stranger = await postern.createClient({ ...machine, introspection_signed_response_alg: 'ES256' })
  await postern.createResource({ identifier: resource, clientId: api.client_id })
  await postern.createResource({ identifier: 'https://other.example/', clientId: stranger.client_id })
  for (const tokenFormat of ['opaque', 'jwt'] as const) {
    await postern.createResource({
      identifier: `https://${tokenFormat}.example/`,
      clientId: api.client_id,
      tokenFormat,
    })
  }
})
afterAll(() => postern?.stop())

const ask = (who: ClientMetadata | undefined, token: unknown, form: Record<string, string> = {}, headers = {}) =>
  send(postern, '/oauth/introspect', { client: who, form: { token: String(token), ...form }, headers })

describe('RFC 7662 §2.2: a token', () => {
  test('is reported to the client it was issued to', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    expect(await oidc.tokenIntrospection(config, tokens.access_token)).toMatchObject({
      active: true,
      client_id: client.client_id,
      sub: tokens.claims()?.sub,
      iss: postern.issuer,
      scope: expect.stringContaining('openid'),
      exp: expect.any(Number),
      iat: expect.any(Number),
      token_type: 'Bearer',
    })
  })

  test('is reported to its client if it is a refresh token', async () => {
    const { config, tokens } = await login(postern, client, { email, scope })
    const answer = await oidc.tokenIntrospection(config, String(tokens.refresh_token))
    expect(answer).toMatchObject({ active: true, client_id: client.client_id })
    expect(answer).not.toHaveProperty('token_type')
  })

  test('is reported to the resource server that is its audience', async () => {
    const { tokens } = await login(postern, client, forApi)
    const { json } = await ask(api, tokens.access_token)
    expect(json).toMatchObject({ active: true, aud: resource, scope: 'read', client_id: client.client_id })
  })

  test('is reported despite a wrong hint (§2.1)', async () => {
    const { tokens } = await login(postern, client, { email, scope })
    for (const token_type_hint of ['refresh_token', 'access_token', 'nonsense']) {
      expect((await ask(client, tokens.access_token, { token_type_hint })).json['active']).toBe(true)
      expect((await ask(client, tokens.refresh_token, { token_type_hint })).json['active']).toBe(true)
    }
  })
})

describe('RFC 7662 §2.2: a machine’s token', () => {
  test.each(['opaque', 'jwt'])('has the machine as its subject: %s', async (format) => {
    const metadata = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [], scope: 'read' }
    const machine = await postern.createClient({ ...metadata, resources: [`https://${format}.example/`] })
    const { json } = await send(postern, '/oauth/token', {
      client: machine,
      form: { grant_type: 'client_credentials' },
    })
    expect((await ask(api, json['access_token'])).json).toMatchObject({
      active: true,
      sub: machine.client_id,
      client_id: machine.client_id,
      aud: `https://${format}.example/`,
      scope: 'read',
    })
  })
})

describe('RFC 7662 §2.2: a JWT access token', () => {
  const resource = 'https://jwt.example/'
  const forJwts = { ...forApi, scope: 'openid read offline_access', resource, tokenParameters: { resource } }
  const inactive = { status: 200, text: '{"active":false}' }

  test('is reported with its own claims to its API and its client, and to no other client', async () => {
    const { tokens } = await login(postern, client, forJwts)
    const { jti: _jti, ...claims } = decodeJwt(tokens.access_token)
    for (const who of [api, client]) {
      expect((await ask(who, tokens.access_token)).json).toEqual({ ...claims, active: true, token_type: 'Bearer' })
    }
    expect(await ask(stranger, tokens.access_token)).toMatchObject(inactive)
    const answer = await ask(api, tokens.access_token, {}, jwtForm)
    expect((await jwtVerify(answer.text, await publishedKeys(postern))).payload['token_introspection']).toMatchObject({
      active: true,
      aud: resource,
    })
  })

  test('has the same sub as its claims if its client has pairwise subjects', async () => {
    const own = await postern.createClient({ subject_type: 'pairwise' })
    const { tokens } = await login(postern, own, forJwts)
    expect((await ask(api, tokens.access_token)).json['sub']).toBe(decodeJwt(tokens.access_token).sub)
  })

  // biome-ignore format: it is a table
  const ends: Record<string, (held: { own: ClientMetadata; email: string; refresh: string }) => Promise<unknown>> = {
    'its login is revoked':        ({ own, refresh }) => send(postern, '/oauth/revoke', { client: own, form: { token: refresh } }),
    'its account is disabled':     ({ email }) => operate(postern, 'account disable', { account: email }),
    'its account is deleted':      ({ email }) => operate(postern, 'account delete', { account: email }),
    'its client is disabled':      ({ own }) => operate(postern, 'client disable', { client_id: own.client_id }),
    'its client is deleted':       ({ own }) => operate(postern, 'client delete', { client_id: own.client_id }),
    'it has expired':              () => age(postern, 'AccessToken', 700),
  }

  test.each(Object.keys(ends))('is inactive once %s', async (what) => {
    const own = await postern.createClient()
    const { email } = await postern.createAccount(`${what.replaceAll(' ', '-')}@example.com`)
    const { tokens } = await login(postern, own, { ...forJwts, email })
    expect((await ask(api, tokens.access_token)).json['active']).toBe(true)
    await ends[what]?.({ own, email, refresh: String(tokens.refresh_token) })
    expect(await ask(api, tokens.access_token)).toMatchObject(inactive)
  })

  test('is rejected at userinfo', async () => {
    const { tokens } = await login(postern, client, forJwts)
    for (const bearer of [tokens.access_token, `jwt:${tokens.access_token}`]) {
      expect([401, 403]).toContain((await send(postern, '/oauth/userinfo', { bearer })).status)
    }
  })

  test('is inactive if it is forged or tampered with, like any lookalike', async () => {
    const { tokens } = await login(postern, client, forJwts)
    const [header, payload, signature = ''] = tokens.access_token.split('.')
    const { privateKey } = await generateKeyPair('RS256')
    const claims = decodeJwt(tokens.access_token)
    const { kid = '' } = decodeProtectedHeader(tokens.access_token)
    const looksLikeOne = {
      'signed by somebody else': await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey),
      'signed by nobody': new UnsecuredJWT(claims).encode(),
      'without its signature': `${header}.${payload}.`,
      'with another signature': `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
      'cut short': tokens.access_token.slice(0, -1),
      'made longer': `${tokens.access_token}A`,
      'with a dot more': `${tokens.access_token}.`,
      'encrypted, by its form': `${header}.a.b.c.d`,
      'a header alone': `${header}.`,
      'an ID token': String(tokens.id_token),
      'its own id': String(claims.jti),
      'dots alone': '..',
    }
    for (const [what, token] of Object.entries(looksLikeOne)) {
      for (const who of [api, client, stranger]) {
        expect([what, await ask(who, token)]).toMatchObject([what, inactive])
      }
    }
  })
})

describe('an API that relies on OpenID Connect scopes', () => {
  const inactive = { status: 200, text: '{"active":false}' }
  const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
  const reasons = () =>
    postern.logged
      .splice(0)
      .map((line) => JSON.parse(line))
      .filter(({ msg }) => /^introspection returns inactive/.test(msg))

  test('learns about userinfo tokens of every client once an administrator marks its own client', async () => {
    const own = await postern.createClient(machine)
    const { tokens } = await login(postern, client, { email, scope: 'openid email' })
    expect(await ask(own, tokens.access_token)).toMatchObject(inactive)
    await operate(postern, 'client update', { client_id: own.client_id, dangerously_introspect_userinfo_tokens: true })
    await expect
      .poll(async () => (await ask(own, tokens.access_token)).json)
      .toMatchObject({ active: true, scope: 'openid email', client_id: client.client_id })
    expect(await ask(stranger, tokens.access_token)).toMatchObject(inactive)
  })

  test('learns nothing about refresh tokens or tokens for an API', async () => {
    const own = await postern.createClient({ ...machine, dangerously_introspect_userinfo_tokens: true })
    const { tokens } = await login(postern, client, { ...forApi, scope: 'openid read offline_access' })
    for (const token of [tokens.refresh_token, tokens.access_token]) {
      expect(await ask(own, token)).toMatchObject(inactive)
    }
  })

  test('finds in the log why an answer was inactive and what to do, without secrets', async () => {
    const own = await postern.createClient(machine)
    const { tokens } = await login(postern, client, { email, scope: 'openid email' })
    const { tokens: atApi } = await login(postern, client, forApi)
    postern.logged.splice(0)
    const answer = await ask(own, tokens.access_token)
    await ask(own, atApi.access_token)
    await ask(own, 'unknown')
    const lines = reasons()
    expect(lines).toMatchObject([
      {
        requestId: answer.headers.get('x-request-id'),
        clientId: own.client_id,
        msg: expect.stringMatching(/for userinfo.*--dangerously-introspect-userinfo-tokens true/),
      },
      { clientId: own.client_id, msg: expect.stringMatching(/token is for https:\/\/api\.example\//) },
    ])
    expect(JSON.stringify(lines)).not.toContain(tokens.access_token)
  })
})

describe('RFC 9701 §5: a signed JWT', () => {
  test('is the answer if the request accepts it', async () => {
    const { tokens } = await login(postern, client, forApi)
    const answer = await ask(api, tokens.access_token, {}, jwtForm)
    expect(answer.headers.get('content-type')).toMatch(/^application\/token-introspection\+jwt\b/)
    const { payload, protectedHeader } = await jwtVerify(answer.text, await publishedKeys(postern), {
      issuer: postern.issuer,
      algorithms: ['ES256'],
      typ: 'token-introspection+jwt',
    })
    expect(protectedHeader.alg).toBe('ES256')
    expect(payload).toMatchObject({ iat: expect.any(Number), token_introspection: { active: true, scope: 'read' } })
  })

  /** The content of a signed answer that reveals nothing. */
  const nothing = (who: ClientMetadata) => ({
    iss: postern.issuer,
    iat: expect.any(Number),
    aud: who.client_id,
    token_introspection: { active: false },
  })

  async function said(who: ClientMetadata, token: unknown): Promise<Record<string, unknown>> {
    const answer = await ask(who, token, {}, jwtForm)
    expect(answer.headers.get('content-type')).toMatch(/^application\/token-introspection\+jwt\b/)
    return (await jwtVerify(answer.text, await publishedKeys(postern))).payload
  }

  test('contains exactly {"active":false} for a stranger (CVE-2026-37979, CVE-2026-18208)', async () => {
    const { tokens } = await login(postern, client, { ...forApi, scope: 'openid read offline_access' })
    for (const token of [tokens.access_token, tokens.refresh_token, 'unknown']) {
      expect(await said(stranger, token)).toEqual(nothing(stranger))
    }
  })

  test('contains the same for an API if the token is truncated or revoked, or its client or account is gone', async () => {
    await postern.createAccount('leaving@example.com')
    const leaving = { ...forApi, email: 'leaving@example.com' }
    const [own, theirs] = [await postern.createClient(), await login(postern, client, leaving)]
    const tokens = {
      short: (await login(postern, client, forApi)).tokens.access_token.slice(0, -1),
      ofClient: (await login(postern, own, forApi)).tokens.access_token,
      ofAccount: theirs.tokens.access_token,
      revoked: (await login(postern, client, forApi)).tokens.access_token,
    }
    for (const token of [tokens.ofClient, tokens.ofAccount, tokens.revoked]) {
      expect(await said(api, token)).toMatchObject({ token_introspection: { active: true, aud: resource } })
    }
    await operate(postern, 'client delete', { client_id: own.client_id })
    await operate(postern, 'account disable', { account: leaving.email })
    await send(postern, '/oauth/revoke', { client, form: { token: tokens.revoked } })
    for (const [name, token] of Object.entries(tokens))
      expect([name, await said(api, token)]).toEqual([name, nothing(api)])
  })
})

describe('RFC 7662 §4: the answer', () => {
  const inactive = { status: 200, text: '{"active":false}' }

  test('is exactly {"active":false} for another client and any token, just as for an unknown token (CVE-2026-37979)', async () => {
    const { tokens } = await login(postern, client, { email, scope })
    const { tokens: atApi } = await login(postern, client, forApi)
    for (const token of [tokens.access_token, tokens.refresh_token, atApi.access_token, 'unknown']) {
      expect(await ask(stranger, token)).toMatchObject(inactive)
    }
  })

  test('is exactly {"active":false} for a resource server and tokens with another audience', async () => {
    const other = { resource: 'https://other.example/' }
    const { tokens } = await login(postern, client, { email, scope: 'openid read', ...other, tokenParameters: other })
    expect((await ask(stranger, tokens.access_token)).json['active']).toBe(true)
    expect(await ask(api, tokens.access_token)).toMatchObject(inactive)
    const { tokens: userinfoOnly } = await login(postern, client, { email, scope })
    expect(await ask(api, userinfoOnly.access_token)).toMatchObject(inactive)
    expect(await ask(api, userinfoOnly.refresh_token)).toMatchObject(inactive)
  })

  test('is exactly {"active":false} for a client that registered itself', async () => {
    const { initial_access_token } = (await operate(postern, 'registration-token create', {})) as Record<string, string>
    const registered = await send(postern, '/oauth/register', {
      bearer: String(initial_access_token),
      body: { redirect_uris: ['https://rp.example/cb'] },
    })
    const { tokens } = await login(postern, client, { email, scope })
    expect(await ask(registered.json as ClientMetadata, tokens.access_token)).toMatchObject(inactive)
  })

  test('is exactly {"active":false} for a truncated or extended token, or one in another case (CVE-2026-27840)', async () => {
    const { tokens } = await login(postern, client, { email, scope })
    const token = tokens.access_token
    const swapped = token.replace(/[a-z]/, (letter) => letter.toUpperCase())
    for (const wrong of [token.slice(0, -1), token.slice(1), `${token}A`, swapped, `${token} `, '#00']) {
      expect([wrong, (await ask(client, wrong)).text]).toEqual([wrong, inactive.text])
    }
  })

  test('is exactly {"active":false} for a token that has expired', async () => {
    const { tokens } = await login(postern, client, { email, scope })
    await age(postern, 'AccessToken', 700)
    expect(await ask(client, tokens.access_token)).toMatchObject(inactive)
  })

  test('is exactly {"active":false} for a code or a session, while an ID token may cause an error', async () => {
    const { tokens, callback, visitor } = await login(postern, client, { email, scope })
    const session = [...visitor.cookies].find(([name]) => name.startsWith('postern_session '))?.[1].value
    for (const value of [callback.searchParams.get('code'), session]) {
      expect(await ask(client, value)).toMatchObject(inactive)
    }
    const { status, json } = await ask(client, tokens.id_token)
    expect([status, json['active'] ?? false]).toEqual([status < 500 ? status : 0, false])
  })
})

describe('RFC 7662 §2.2: after a client or an account is gone', () => {
  const inactive = { status: 200, text: '{"active":false}' }

  test.each(['disable', 'delete'])('the tokens of the client are inactive, without an error: %s', async (verb) => {
    const gone = await postern.createClient()
    const { tokens } = await login(postern, gone, { ...forApi, scope: 'openid read offline_access' })
    expect((await ask(api, tokens.access_token)).json['active']).toBe(true)
    await operate(postern, `client ${verb}`, { client_id: gone.client_id })
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      for (const who of [api, stranger]) expect(await ask(who, token)).toMatchObject(inactive)
      expect((await ask(gone, token)).json['active'] ?? false).toBe(false)
    }
    // Other processes learn of the change by notification, so the credentials end a moment after the tokens.
    await expect.poll(async () => (await ask(gone, tokens.access_token)).json['error']).toBe('invalid_client')
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(401)
  })

  test('the tokens of a disabled account are inactive, without an error', async () => {
    await postern.createAccount('gone@example.com')
    const gone = { email: 'gone@example.com' }
    const { tokens } = await login(postern, client, { ...forApi, ...gone, scope: 'openid read offline_access' })
    expect((await ask(api, tokens.access_token)).json['active']).toBe(true)
    await operate(postern, 'account disable', { account: gone.email })
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      for (const who of [client, api, stranger]) expect(await ask(who, token)).toMatchObject(inactive)
    }
    const refreshed = await send(postern, '/oauth/token', {
      client,
      form: { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) },
    })
    expect([refreshed.status, refreshed.json['error']]).toEqual([400, 'invalid_grant'])
    await operate(postern, 'account enable', { account: gone.email })
    expect(await ask(client, tokens.access_token)).toMatchObject(inactive)
  })

  test('tokens work again after their client is enabled again, until they expire', async () => {
    const paused = await postern.createClient()
    const { tokens } = await login(postern, paused, { email, scope })
    await operate(postern, 'client disable', { client_id: paused.client_id })
    await operate(postern, 'client enable', { client_id: paused.client_id })
    expect((await ask(paused, tokens.access_token)).json['active']).toBe(true)
  })
})

describe('RFC 7662 §2.2: the statements of the server about a token (CVE-2024-29892)', () => {
  const forged = {
    active: false,
    sub: 'somebody-else',
    iss: 'https://evil.example',
    aud: 'https://evil.example',
    client_id: 'another',
    scope: 'everything',
    exp: 1,
    iat: 1,
    jti: 'chosen',
    token_type: 'chosen',
    cnf: { jkt: 'chosen' },
    act: { sub: 'somebody-else' },
    acr: 'chosen',
    amr: ['chosen'],
    auth_time: 1,
  }
  const expected = (sub: string, clientId: string) => ({
    sub,
    iss: postern.issuer,
    client_id: clientId,
    scope: 'read',
    iat: expect.any(Number),
    exp: expect.any(Number),
    auth_time: expect.any(Number),
    acr: 'urn:oasis:names:tc:SAML:2.0:ac:classes:Password',
    amr: ['pwd'],
  })

  test.each(['opaque', 'jwt'] as const)(
    'cannot be changed by the contents of a profile (%s token)',
    async (tokenFormat) => {
      const identifier = `https://${tokenFormat}.example/`
      const email = `${tokenFormat}@example.com`
      const { id } = await postern.createAccount(email, forged)
      const own = await postern.createClient()
      const { tokens } = await login(postern, own, {
        email,
        scope: 'openid profile read',
        resource: identifier,
        tokenParameters: { resource: identifier },
        claims: JSON.stringify({ id_token: Object.fromEntries(Object.keys(forged).map((name) => [name, null])) }),
      })
      const since = Math.floor(Date.now() / 1000) - 60
      const claims = tokens.claims()
      expect(claims).toMatchObject({ sub: id, iss: postern.issuer, aud: own.client_id })
      const said =
        tokenFormat === 'opaque'
          ? (await ask(api, tokens.access_token)).json
          : (await jwtVerify(tokens.access_token, await publishedKeys(postern))).payload
      expect(said).toMatchObject({ ...expected(id, own.client_id), aud: identifier })
      for (const issued of [claims ?? {}, said] as Record<string, unknown>[]) {
        expect(Math.min(...['iat', 'exp', 'auth_time'].map((name) => Number(issued[name])))).toBeGreaterThan(since)
        for (const name of ['act', 'cnf']) expect(issued).not.toHaveProperty(name)
        expect([issued['jti'], issued['token_type'], issued['acr']]).not.toContain('chosen')
      }
      if (tokenFormat === 'opaque') {
        expect(said).toMatchObject({ active: true, token_type: 'Bearer' })
        const signed = await jwtVerify(
          (await ask(api, tokens.access_token, {}, jwtForm)).text,
          await publishedKeys(postern),
        )
        expect(signed.payload).toMatchObject({ iss: postern.issuer, aud: api.client_id, token_introspection: said })
      }
    },
  )
})

describe('RFC 7662 §2.1: introspection', () => {
  test('is rejected without credentials or with wrong ones', async () => {
    const { tokens } = await login(postern, client, { email })
    const open = await postern.createClient({ token_endpoint_auth_method: 'none' })
    const attempts = [
      await ask(undefined, tokens.access_token),
      await ask({ ...client, client_secret: 'wrong' }, tokens.access_token),
      await ask(undefined, tokens.access_token, { client_id: client.client_id }),
      await send(postern, '/oauth/introspect', { bearer: tokens.access_token, form: { token: tokens.access_token } }),
    ]
    for (const { status, json } of attempts) {
      expect([400, 401]).toContain(status)
      expect(json['error']).toMatch(/^invalid_(client|request)$/)
    }
    const byPublic = await ask(undefined, tokens.access_token, { client_id: open.client_id })
    expect([byPublic.status, byPublic.json['error']]).toEqual([401, 'invalid_client'])
  })

  test.each(['application/json', jwtForm.accept])(
    'tells a public client nothing, not even about its own tokens (%s)',
    async (accept) => {
      const open = await postern.createClient({
        token_endpoint_auth_method: 'none',
        introspection_signed_response_alg: 'ES256',
      })
      const { tokens } = await login(postern, open, { email, scope })
      const asked = (token: unknown) => ask(undefined, token, { client_id: open.client_id }, { accept })
      const unknown = await asked('unknown')
      expect([unknown.status, unknown.json['error']]).toEqual([401, 'invalid_client'])
      expect(unknown.headers.get('www-authenticate')).toMatch(/^Basic /)
      for (const token of [tokens.access_token, tokens.refresh_token]) {
        const { status, text } = await asked(token)
        expect([status, text]).toEqual([unknown.status, unknown.text])
      }
    },
  )

  test('cannot be assigned to a public client, and its client cannot become public', async () => {
    const open = await postern.createClient({ token_endpoint_auth_method: 'none' })
    const own = await postern.createClient()
    const identifier = 'https://guarded.example/'
    const scopes = { read: 'Read' }
    const { client_id } = open
    await expect(operate(postern, 'resource create', { identifier, scopes, client_id })).rejects.toThrow('public')
    await operate(postern, 'resource create', { identifier, scopes, client_id: own.client_id })
    await expect(operate(postern, 'resource update', { identifier, client_id })).rejects.toThrow('public')
    const changes = { client_id: own.client_id, token_endpoint_auth_method: 'none' }
    await expect(operate(postern, 'client update', changes)).rejects.toThrow('an API introspects tokens as this client')
    await operate(postern, 'resource delete', { identifier })
    await operate(postern, 'client update', changes)
  })

  test('is rejected without a token', async () => {
    const { status, json } = await send(postern, '/oauth/introspect', { client, form: { x: 'y' } })
    expect([status, json['error']]).toEqual([400, 'invalid_request'])
  })

  test('must not be cached', async () => {
    expect((await ask(client, 'unknown')).headers.get('cache-control')).toBe('no-store')
  })

  test('is rejected for a client of another issuer', async () => {
    const config = await discover(postern, { client_id: 'nobody', client_secret: 'x' })
    await expect(oidc.tokenIntrospection(config, 'x')).rejects.toMatchObject({ status: 401 })
  })
})
