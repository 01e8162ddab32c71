import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { authorize, beginLogin, discover, login, refusal } from '../support/relying-party.ts'
import { tickboxes } from '../support/visitor.ts'
import { answerOf, redeem, send } from '../support/wire.ts'

const email = 'ada@example.com'
const [files, mail] = ['https://files.example/', 'https://mail.example/v1']
let postern: TestPostern
let client: ClientMetadata
let sub: string

beforeAll(async () => {
  postern = await startPostern()
  sub = (await postern.createAccount(email)).id
  client = await postern.createClient()
  const scopes = { read: 'Read your files', write: 'Change your files' }
  await postern.createResource({ identifier: files, name: 'Files', scopes, tokenTtlSeconds: 120 })
  await postern.createResource({
    identifier: mail,
    name: 'Mail',
    scopes: { read: 'Read your mail' },
    tokenFormat: 'jwt',
  })
})
afterAll(() => postern?.stop())

const at = (resource: string) => ({ resource, tokenParameters: { resource } })

describe('RFC 8707 §2: an opaque token for one API', () => {
  test('has the audience, the lifetime and only the scopes of that API', async () => {
    const { config, tokens } = await login(postern, client, { email, scope: 'openid email read', ...at(files) })
    expect(tokens).toMatchObject({ scope: 'read', expires_in: 120 })
    expect(await oidc.tokenIntrospection(config, tokens.access_token)).toMatchObject({
      active: true,
      aud: files,
      scope: 'read',
    })
  })

  test('does not open userinfo', async () => {
    const { tokens } = await login(postern, client, { email, scope: 'openid read', ...at(files) })
    const { status, json } = await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })
    expect([status, json['sub']]).toEqual([403, undefined])
  })

  test('§2.2: is issued for the API of the authorization request if the token request names none', async () => {
    const { config, tokens } = await login(postern, client, { email, scope: 'openid email read', resource: files })
    const about = await oidc.tokenIntrospection(config, tokens.access_token)
    expect([about.aud, about.scope]).toEqual([files, 'read'])
  })

  test('§2.2: can be refreshed for each API of its login, and for no other', async () => {
    const { config, tokens } = await login(postern, client, {
      email,
      scope: 'openid read offline_access',
      ...at(files),
    })
    const second = await oidc.refreshTokenGrant(config, String(tokens.refresh_token), { resource: files })
    expect((await oidc.tokenIntrospection(config, second.access_token)).aud).toBe(files)
    const other = oidc.refreshTokenGrant(config, String(second.refresh_token), { resource: mail })
    expect(await refusal(other)).toMatchObject({ error: 'invalid_target', status: 400 })
  })
})

describe('RFC 9068: a JWT access token', () => {
  test('§2 and §4: can be verified by an API with only the published keys', async () => {
    const { tokens } = await login(postern, client, { email, scope: 'openid read', ...at(mail) })
    const keys = createRemoteJWKSet(new URL(`${postern.issuer}/oauth/jwks`))
    const { payload, protectedHeader } = await jwtVerify(tokens.access_token, keys, {
      issuer: postern.issuer,
      audience: mail,
      typ: 'at+jwt',
      algorithms: ['RS256'],
    })
    expect(protectedHeader.kid).toBeTruthy()
    expect(payload).toMatchObject({
      sub,
      client_id: client.client_id,
      scope: 'read',
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: expect.any(Number),
    })
    for (const claim of ['email', 'name', 'nonce']) expect(payload).not.toHaveProperty(claim)
  })

  test('§4: is rejected by an API that it is not for', async () => {
    const { tokens } = await login(postern, client, { email, scope: 'openid read', ...at(mail) })
    const keys = createRemoteJWKSet(new URL(`${postern.issuer}/oauth/jwks`))
    await expect(jwtVerify(tokens.access_token, keys, { audience: files })).rejects.toThrow(/aud/)
  })

  test('§2.1: cannot be confused with an ID token', async () => {
    const { tokens } = await login(postern, client, { email })
    expect(decodeProtectedHeader(String(tokens.id_token)).typ).not.toBe('at+jwt')
  })

  test('§2.2: has the client itself as its subject if it is from client credentials', async () => {
    const machine = await postern.createClient({
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      scope: 'read',
      resources: [mail],
    })
    const config = await discover(postern, machine)
    const { access_token } = await oidc.clientCredentialsGrant(config, { resource: mail, scope: 'read' })
    const keys = createRemoteJWKSet(new URL(`${postern.issuer}/oauth/jwks`))
    const { payload } = await jwtVerify(access_token, keys, { audience: mail, typ: 'at+jwt' })
    expect(payload).toMatchObject({ sub: machine.client_id, client_id: machine.client_id, scope: 'read' })
  })

  test('does not open userinfo', async () => {
    const { tokens } = await login(postern, client, { email, scope: 'openid read', ...at(mail) })
    expect((await send(postern, '/oauth/userinfo', { bearer: tokens.access_token })).status).toBe(403)
  })
})

describe('RFC 8707 §2.1: consent covers each scope of each API:', () => {
  test('the page names the APIs and their scopes, and a scope that is not ticked is not granted', async () => {
    const own = await postern.createClient()
    const config = await discover(postern, own)
    const { page, visitor, verifier, nonce, state } = await beginLogin(config, {
      issuer: postern.issuer,
      scope: 'openid read write',
      resource: files,
    })
    const consent = await visitor.signIn(page, email)
    expect(consent.body).toContain('Files')
    expect(consent.body).toContain('Change your files')
    expect(
      tickboxes(consent.body)
        .filter(({ name }) => name === 'resource_scope')
        .map(({ value }) => value),
    ).toEqual([`${files} read`, `${files} write`])
    const { url } = await visitor.submit(consent, '/consent', {
      decision: 'allow',
      scope: 'openid',
      resource_scope: `${files} read`,
    })
    const tokens = await oidc.authorizationCodeGrant(
      config,
      new URL(url),
      { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state },
      { resource: files },
    )
    expect(tokens.scope).toBe('read')
  })

  test('a scope with the same name at another API is another scope', async () => {
    const own = await postern.createClient()
    const { visitor } = await login(postern, own, { email, scope: 'openid read', ...at(files) })
    const config = await discover(postern, own)
    const asked = { issuer: postern.issuer, visitor, scope: 'openid read', prompt: 'none' }
    const known = await beginLogin(config, { ...asked, resource: files })
    expect(answerOf(known.page.url)).toHaveProperty('code')
    const other = await beginLogin(config, { ...asked, resource: mail })
    expect(answerOf(other.page.url)).toMatchObject({ error: 'consent_required' })
  })

  test('a ticked scope that was never requested is rejected', async () => {
    const own = await postern.createClient()
    const { page, visitor } = await beginLogin(await discover(postern, own), {
      issuer: postern.issuer,
      scope: 'openid read',
      resource: files,
    })
    const consent = await visitor.signIn(page, email)
    for (const resource_scope of [`${files} write`, `${mail} read`, 'https://no.example/ read', files]) {
      const answer = await visitor.submit(consent, '/consent', { decision: 'allow', scope: 'openid', resource_scope })
      expect([resource_scope, answer.status]).toEqual([resource_scope, 400])
    }
  })
})

describe('RFC 8707 §2: invalid_target', () => {
  test.each([
    'https://unknown.example/',
    `${files}more`,
    'http://files.example/',
    'https://files.example/ ',
    'not a uri',
    `${files}#fragment`,
    '__proto__',
  ])('is the answer of the authorization endpoint for %s', async (resource) => {
    const { page } = await beginLogin(await discover(postern, client), { issuer: postern.issuer, resource })
    expect(answerOf(page.url)).toMatchObject({ error: 'invalid_target' })
  })

  test('is the answer of the token endpoint for a resource that is unknown or was not part of the authorization', async () => {
    for (const resource of ['https://unknown.example/', mail, [files, mail]]) {
      const begun = await authorize(postern, client, { email, scope: 'openid read', resource: files })
      const { status, json } = await redeem(postern, begun, { client, resource })
      expect([resource, status, json['error']]).toEqual([resource, 400, 'invalid_target'])
    }
  })
})
