import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { authorize, beginLogin, discover, login } from '../../support/relying-party.ts'
import { createVisitor } from '../../support/visitor.ts'
import { type Answer, answerOf, redeem, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const [own, foreign] = ['https://own.example/', 'https://foreign.example/']
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const everything = { grant_types: ['authorization_code', 'refresh_token', 'client_credentials', deviceGrant] }
let postern: TestPostern
let admin: string

beforeAll(async () => {
  postern = await startPostern()
  admin = `${postern.issuer}/admin/api`
  await postern.createAccount(email)
  for (const identifier of [own, foreign]) await postern.createResource({ identifier })
})
afterAll(() => postern?.stop())

const said = ({ status, json }: Answer) => [status, json['error']]
const invalidTarget = [400, 'invalid_target']
const token = (client: ClientMetadata, form: Record<string, string | string[]>) =>
  send(postern, '/oauth/token', { client, form })
const credentials = (client: ClientMetadata, form: Record<string, string | string[]>) =>
  token(client, { grant_type: 'client_credentials', ...form })

/** Returns the error in the answer to an authorization request for a resource, signed in or not. */
async function authorizationError(client: ClientMetadata, parameters: Record<string, unknown>): Promise<unknown> {
  const { page } = await beginLogin(await discover(postern, client), { issuer: postern.issuer, ...parameters })
  return page.url.startsWith('https://rp.example/cb') ? answerOf(page.url)['error'] : undefined
}

async function push(client: ClientMetadata, form: Record<string, string>): Promise<unknown[]> {
  const code_challenge = await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier())
  const request = { response_type: 'code', redirect_uri: 'https://rp.example/cb', code_challenge }
  const sent = { client_id: client.client_id, code_challenge_method: 'S256', ...request, ...form }
  return said(await send(postern, '/oauth/par', { client, form: sent }))
}

const onDevice = async (client: ClientMetadata, form: Record<string, string>) =>
  said(await send(postern, '/oauth/device_authorization', { client, form }))

const narrow = ({ client_id }: ClientMetadata, resources: string[]) =>
  operate(postern, 'client update', { client_id, resources })

describe('RFC 8707 §2: a client whose metadata lists resources', () => {
  let client: ClientMetadata
  beforeAll(async () => {
    client = await postern.createClient({ ...everything, scope: 'openid offline_access read', resources: [own] })
  })

  test('gets tokens for these', async () => {
    expect(said(await credentials(client, { resource: own, scope: 'read' }))).toEqual([200, undefined])
    const begun = { email, scope: 'openid offline_access read', resource: own, tokenParameters: { resource: own } }
    const { tokens, config } = await login(postern, client, begun)
    expect(tokens.scope).toBe('read')
    expect(await oidc.refreshTokenGrant(config, String(tokens.refresh_token), { resource: own })).toMatchObject({
      scope: 'read',
    })
    expect(await push(client, { scope: 'openid read', resource: own })).toEqual([201, undefined])
    expect(await onDevice(client, { scope: 'openid read', resource: own })).toEqual([200, undefined])
  })

  test('gets invalid_target for any other resource, at every endpoint', async () => {
    const request = { scope: 'openid read', resource: foreign }
    expect(await authorizationError(client, request)).toBe('invalid_target')
    expect(await push(client, request)).toEqual(invalidTarget)
    expect(await onDevice(client, request)).toEqual(invalidTarget)
    expect(said(await credentials(client, { scope: 'read', resource: foreign }))).toEqual(invalidTarget)
    expect(said(await credentials(client, { scope: 'read', resource: [own, foreign] }))).toEqual(invalidTarget)
  })

  test('cannot tell from the answer whether another resource exists', async () => {
    const [there, not] = await Promise.all(
      [foreign, 'https://nowhere.example/'].map((resource) => credentials(client, { resource })),
    )
    expect(there?.text).toBe(not?.text)
  })

  test('gets tokens only for userinfo if the list is empty', async () => {
    const none = await postern.createClient({ ...everything, scope: 'openid read', resources: [] })
    expect(said(await credentials(none, { scope: 'read', resource: own }))).toEqual(invalidTarget)
    const { tokens } = await login(postern, none, { email, scope: 'openid read' })
    expect(tokens.scope).toBe('openid')
  })

  test.each([
    ['when it repeats the resource', 'openid read', foreign],
    ['without repeating the resource', 'read', undefined],
  ])('is held to a list that is shortened before it redeems its code %s', async (_how, scope, resource) => {
    const late = await postern.createClient({ ...everything, scope: 'openid read', resources: [own, foreign] })
    const begun = await authorize(postern, late, { email, scope, resource: foreign, nonce: undefined })
    await narrow(late, [own])
    expect(said(await redeem(postern, begun, { client: late, resource }))).toEqual(invalidTarget)
    await narrow(late, [own, foreign])
    expect(said(await redeem(postern, begun, { client: late, resource }))).toEqual([200, undefined])
  })

  test('is held to a list that is shortened before it refreshes', async () => {
    const late = await postern.createClient({
      ...everything,
      scope: 'openid offline_access read',
      resources: [own, foreign],
    })
    const { tokens } = await login(postern, late, {
      email,
      scope: 'openid offline_access read',
      resource: foreign,
      tokenParameters: { resource: foreign },
    })
    await narrow(late, [own])
    const refresh = { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) }
    expect(said(await token(late, { ...refresh, resource: foreign }))).toEqual(invalidTarget)
    expect(said(await token(late, refresh))).toEqual([200, undefined])
  })

  test('is held to a list that is shortened while the person decides', async () => {
    const late = await postern.createClient({ ...everything, scope: 'openid read', resources: [own, foreign] })
    const visitor = createVisitor(postern.issuer)
    const config = await discover(postern, late)
    const request = { issuer: postern.issuer, visitor, scope: 'openid read', resource: foreign }
    const { page } = await beginLogin(config, request)
    const consent = await visitor.signIn(page, email)
    await narrow(late, [own])
    expect(answerOf((await visitor.allow(consent)).url)['error']).toBe('invalid_target')
  })
})

test('RFC 8707 §2: a client whose metadata lists no resources may ask people for any API', async () => {
  const client = await postern.createClient({ ...everything, scope: 'openid read' })
  for (const resource of [own, foreign]) {
    const request = { email, scope: 'openid read', resource, tokenParameters: { resource } }
    expect((await login(postern, client, request)).tokens.scope).toBe('read')
  }
  expect(await authorizationError(client, { resource: 'https://nowhere.example/' })).toBe('invalid_target')
})

describe('the admin API as a resource', () => {
  const scope = 'postern:clients:read postern:audit'

  test('issues tokens with client credentials for the scopes that an administrator gave the client', async () => {
    const client = await postern.createClient({ ...machine, scope })
    const { json } = await credentials(client, { resource: admin, scope: 'postern:clients:read' })
    expect(json).toMatchObject({ scope: 'postern:clients:read', token_type: 'Bearer' })
    const form = { token: String(json['access_token']) }
    const { json: about } = await send(postern, '/oauth/introspect', { client, form })
    expect(about).toMatchObject({ active: true, aud: admin, scope: 'postern:clients:read', sub: client.client_id })
  })

  test.each([
    ['for no scopes', undefined],
    ['for scopes of other APIs', 'openid read'],
  ])('issues no token to a client that is registered %s', async (_what, registered) => {
    const client = await postern.createClient({ ...machine, ...(registered && { scope: registered }) })
    expect(said(await credentials(client, { resource: admin, scope: 'postern:clients:read' }))).toEqual(invalidTarget)
    expect(said(await credentials(client, { resource: admin }))).toEqual(invalidTarget)
  })

  test('grants no scope to a client that is registered only for others of its scopes', async () => {
    const client = await postern.createClient({ ...machine, scope: 'postern:clients:read' })
    const request = { resource: admin, scope: 'postern:clients:read postern:clients' }
    expect(said(await credentials(client, request))).toEqual([400, 'invalid_scope'])
    expect(said(await credentials(client, { resource: admin }))).toEqual([400, 'invalid_scope'])
  })

  test('is never the resource of a request that a person answers, even for a first-party client that is registered for it', async () => {
    const client = await postern.createClient({
      ...everything,
      first_party: true,
      scope: `openid offline_access ${scope}`,
    })
    const request = { scope: 'openid postern:clients:read', resource: admin }
    expect(await authorizationError(client, request)).toBe('invalid_target')
    expect(await authorizationError(client, { ...request, grant_type: 'client_credentials' })).toBe('invalid_target')
    expect(await push(client, request)).toEqual(invalidTarget)
    expect(await onDevice(client, request)).toEqual(invalidTarget)

    const { tokens } = await login(postern, client, { email, scope: 'openid offline_access' })
    const refresh = { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token), resource: admin }
    expect(said(await token(client, refresh))).toEqual(invalidTarget)
    const begun = await authorize(postern, client, { email })
    expect(said(await redeem(postern, begun, { client, resource: admin }))).toEqual(invalidTarget)
  })

  test('has scopes that mean nothing to userinfo or another API', async () => {
    const client = await postern.createClient({
      ...everything,
      scope: `openid read ${scope}`,
      resources: [own, admin],
    })
    const { tokens } = await login(postern, client, { email, scope: 'openid postern:clients:read' })
    expect(tokens.scope).toBe('openid')
    const invalidScope = [400, 'invalid_scope']
    expect(said(await credentials(client, { resource: own, scope: 'read postern:clients:read' }))).toEqual(invalidScope)
    expect(said(await credentials(client, { scope: 'postern:clients:read' }))).toEqual(invalidTarget)
  })

  test('does not match a similar spelling', async () => {
    const client = await postern.createClient({ ...machine, scope })
    const alike = [`${admin}/`, `${admin}?`, `${admin}#`, admin.replace('api', 'API'), admin.replace('api', '%61pi')]
    for (const resource of [...alike, admin.replace('/admin', '\\admin'), `${admin} `, `${admin}\n`]) {
      const answer = await credentials(client, { resource, scope: 'postern:clients:read' })
      expect([resource, ...said(answer)]).toEqual([resource, ...invalidTarget])
    }
  })

  test('is unavailable to a client whose list of resources omits it', async () => {
    const client = await postern.createClient({ ...machine, scope, resources: [own] })
    const request = { scope: 'postern:clients:read', resource: admin }
    expect(said(await credentials(client, request))).toEqual(invalidTarget)
    await narrow(client, [own, admin])
    expect(said(await credentials(client, request))).toEqual([200, undefined])
  })
})
