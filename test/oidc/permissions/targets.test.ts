import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { authorize, beginLogin, discover, login, refusal } from '../../support/relying-party.ts'
import { type Answer, answerOf, redeem, send } from '../../support/wire.ts'

const email = 'ada@example.com'
const [files, mail] = ['https://files.example/', 'https://mail.example/v1']
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const registered = 'openid email offline_access read write send'
let postern: TestPostern
let sub: string

beforeAll(async () => {
  postern = await startPostern()
  sub = (await postern.createAccount(email)).id
  await postern.createResource({ identifier: files, name: 'Files', scopes: { read: 'Read', write: 'Write' } })
  await postern.createResource({ identifier: mail, name: 'Mail', scopes: { read: 'Read', send: 'Send' } })
})
afterAll(() => postern?.stop())

const createClient = (metadata: Record<string, unknown> = {}) =>
  postern.createClient({ grant_types: ['authorization_code', 'refresh_token', deviceGrant], ...metadata })

/** Returns the API that a token is for, and the scopes that it has there. */
async function goodFor(client: ClientMetadata, token: unknown): Promise<unknown[]> {
  const { json } = await send(postern, '/oauth/introspect', { client, form: { token: String(token) } })
  return [json['aud'], json['scope']]
}

const refresh = (client: ClientMetadata, token: unknown, form: Record<string, string> = {}) =>
  send(postern, '/oauth/token', {
    client,
    form: { grant_type: 'refresh_token', refresh_token: String(token), ...form },
  })

async function errorAt(client: ClientMetadata, parameters: Record<string, unknown>): Promise<Record<string, string>> {
  const { page } = await beginLogin(await discover(postern, client), { issuer: postern.issuer, ...parameters })
  expect(page.url).not.toContain('/interaction/')
  return answerOf(page.url)
}

const said = ({ json }: Answer) => [json['error'], json['error_description']]

describe('RFC 8707 §2.2: a token request that names no API', () => {
  test('is for the API of the login, as is each refresh', async () => {
    const client = await createClient()
    const asked = { email, scope: 'openid email offline_access read', resource: files }
    const { tokens } = await login(postern, client, asked)
    expect(tokens.scope).toBe('read')
    expect(await goodFor(client, tokens.access_token)).toEqual([files, 'read'])
    let { refresh_token: token } = tokens as { refresh_token?: unknown }
    for (const round of [1, 2, 3]) {
      const { json } = await refresh(client, token)
      expect([round, await goodFor(client, json['access_token'])]).toEqual([round, [files, 'read']])
      token = json['refresh_token']
    }
  })

  test('is for userinfo if it asks only for OpenID Connect scopes', async () => {
    const client = await createClient()
    const asked = { email, scope: 'openid email offline_access read', resource: files }
    const { tokens, config } = await login(postern, client, asked)
    const { json } = await refresh(client, tokens.refresh_token, { scope: 'openid email' })
    expect(await oidc.fetchUserInfo(config, String(json['access_token']), sub)).toMatchObject({ email })
  })

  test('is for userinfo if the person granted nothing of the API', async () => {
    const client = await createClient()
    const config = await discover(postern, client)
    const begun = await beginLogin(config, { issuer: postern.issuer, scope: 'openid email read', resource: files })
    const consent = await begun.visitor.signIn(begun.page, email)
    const { url } = await begun.visitor.submit(consent, '/consent', { decision: 'allow', scope: ['openid', 'email'] })
    const { json } = await redeem(postern, { callback: new URL(url), verifier: begun.verifier }, { client })
    expect(json).toMatchObject({ scope: 'openid email' })
    expect(await oidc.fetchUserInfo(config, String(json['access_token']), sub)).toMatchObject({ email })
  })

  test('must name one of several APIs of its login, and can then redeem its code', async () => {
    const client = await createClient()
    const begun = await authorize(postern, client, {
      email,
      scope: 'openid offline_access read',
      resource: [files, mail],
    })
    const refused = await redeem(postern, begun, { client })
    expect(said(refused)).toEqual(['invalid_target', expect.stringContaining(`ask with resource=${files}`)])
    const { json } = await redeem(postern, begun, { client, resource: mail })
    expect(await goodFor(client, json['access_token'])).toEqual([mail, 'read'])
    // A refresh token keeps the resource it was issued with, and can still yield a token for the other.
    const second = (await refresh(client, json['refresh_token'])).json
    expect(await goodFor(client, second['access_token'])).toEqual([mail, 'read'])
    const third = (await refresh(client, second['refresh_token'], { resource: files })).json
    expect(await goodFor(client, third['access_token'])).toEqual([files, 'read'])
    const fourth = (await refresh(client, third['refresh_token'])).json
    expect(await goodFor(client, fourth['access_token'])).toEqual([mail, 'read'])
  })

  test('is for the only API of its login that has the requested scopes', async () => {
    const client = await createClient()
    const asked = { email, scope: 'openid offline_access write send', resource: [files, mail] }
    const begun = await authorize(postern, client, asked)
    const { json } = await redeem(postern, begun, { client, resource: files })
    const second = (await refresh(client, json['refresh_token'], { scope: 'send' })).json
    expect(await goodFor(client, second['access_token'])).toEqual([mail, 'send'])
  })

  test('is for the client’s default among several APIs of its login', async () => {
    const client = await createClient({ default_resource: mail })
    const asked = { email, scope: 'openid offline_access read', resource: [files, mail] }
    const { json } = await redeem(postern, await authorize(postern, client, asked), { client })
    expect(await goodFor(client, json['access_token'])).toEqual([mail, 'read'])
  })
})

describe('RFC 8707 §2.2: an authorization request that names no API', () => {
  test.each([
    ['of its only API', { resources: [files] }, 'openid read', [files, 'read']],
    ['of its only API, and no OpenID Connect scopes', { resources: [files] }, 'read', [files, 'read']],
    ['by default', { resources: [files] }, undefined, [files, 'read write']],
    ['of its default API', { resources: [files, mail], default_resource: mail }, 'openid read', [mail, 'read']],
    ['of its default API, without a list', { default_resource: mail }, 'openid read', [mail, 'read']],
    ['only of OpenID Connect', { resources: [files] }, 'openid email', [undefined, 'openid email']],
  ])('is for the intended API if its client asks for scopes %s', async (_what, metadata, scope, expected) => {
    const client = await createClient({ scope: registered, ...metadata })
    const asked = { email, scope: scope ?? '', nonce: undefined, state: undefined }
    const begun = await authorize(postern, client, asked)
    const { json } = await redeem(postern, begun, { client })
    expect([await goodFor(client, json['access_token']), json['scope']]).toEqual([expected, expected[1]])

    const device = await send(postern, '/oauth/device_authorization', {
      client,
      form: { client_id: client.client_id, ...(scope && { scope }) },
    })
    const { user_code, device_code } = device.json as { user_code: string; device_code: string }
    const { visitor } = begun
    const entered = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
    const confirmed = await visitor.submit(entered, '/device', { confirm: 'yes' })
    const page = confirmed.url.includes('/interaction/') ? await visitor.allow(confirmed) : confirmed
    expect(page.body).toContain('Your device is connected')
    const answer = await send(postern, '/oauth/token', { client, form: { grant_type: deviceGrant, device_code } })
    expect(await goodFor(client, answer.json['access_token'])).toEqual(expected)
  })

  test.each([
    ['lists several', { resources: [files, mail] }, 'openid read', `resource=${files} or resource=${mail}`],
    ['lists several, one of which has the scope', { resources: [files, mail] }, 'openid write', `resource=${files}`],
    [
      'lists several and asks for nothing',
      { resources: [files, mail] },
      undefined,
      `resource=${files} or resource=${mail}`,
    ],
    ['asks for scopes beyond its default', { default_resource: mail }, 'send write', `resource=${mail}`],
    ['lists none', {}, 'openid read', 'resource=the identifier of the API'],
  ])('is rejected, with a hint on what to send, if its client %s', async (_what, metadata, scope, hint) => {
    const client = await createClient({ scope: registered, ...metadata })
    const answer = await errorAt(client, { scope, nonce: undefined })
    expect([answer['error'], answer['error_description']]).toEqual([
      'invalid_target',
      expect.stringMatching(/ask with /),
    ])
    expect(answer['error_description']).toContain(hint)
  })

  test('reveals nothing about APIs that the client does not list', async () => {
    const answer = await errorAt(await createClient(), { scope: 'openid read' })
    expect(answer['error_description']).not.toContain('example')
    const other = await createClient({ resources: [mail], scope: registered })
    const { page } = await beginLogin(await discover(postern, other), { issuer: postern.issuer, scope: 'openid write' })
    expect(page.url).toContain('/interaction/') // as with a scope that no API has
  })

  test('is answered in the same way with prompt=none', async () => {
    const client = await createClient({ resources: [files], scope: registered })
    const { visitor } = await login(postern, client, { email, scope: 'openid read' })
    const config = await discover(postern, client)
    const silent = await beginLogin(config, { issuer: postern.issuer, visitor, scope: 'openid read', prompt: 'none' })
    const callback = new URL(silent.page.url)
    const { json } = await redeem(postern, { callback, verifier: silent.verifier }, { client })
    expect(await goodFor(client, json['access_token'])).toEqual([files, 'read'])
  })
})

describe('RFC 8707 §2.2: a machine that names no API', () => {
  const ask = (client: ClientMetadata, form: Record<string, string> = {}) =>
    send(postern, '/oauth/token', { client, form: { grant_type: 'client_credentials', ...form } })

  test.each([
    ['a scope of its only API', { scope: 'read write', resources: [files] }, 'read', [files, 'read']],
    ['nothing', { scope: 'openid read write', resources: [files] }, undefined, [files, 'read write']],
    [
      'a scope of its default API',
      { scope: 'read', resources: [files, mail], default_resource: mail },
      'read',
      [mail, 'read'],
    ],
    [
      'nothing, with a default',
      { scope: 'read', resources: [files, mail], default_resource: mail },
      undefined,
      [mail, 'read'],
    ],
    ['a scope of OpenID Connect', { scope: 'openid read', resources: [files] }, 'openid', [undefined, 'openid']],
  ])('gets a token for the intended API if it asks for %s', async (_what, metadata, scope, expected) => {
    const client = await postern.createClient({ ...machine, ...metadata })
    const { json } = await ask(client, scope === undefined ? {} : { scope })
    expect([await goodFor(client, json['access_token']), json['scope']]).toEqual([expected, expected[1]])
  })

  test.each([
    ['lists several', { scope: 'read', resources: [files, mail] }, 'read', 'invalid_target'],
    ['lists several and asks for nothing', { scope: 'read', resources: [files, mail] }, undefined, 'invalid_target'],
    ['is an administrator', { scope: 'postern:audit' }, 'postern:audit', 'invalid_target'],
    ['is not registered for the scope', { scope: 'read', resources: [files] }, 'write', 'invalid_scope'],
    ['has the scope at no API', { scope: 'read', resources: [] }, 'read', 'invalid_scope'],
    ['asks for more than it has there', { scope: 'read', resources: [files] }, 'read write', 'invalid_scope'],
  ])('is rejected if it %s', async (_what, metadata, scope, error) => {
    const client = await postern.createClient({ ...machine, ...metadata })
    const { status, json } = await ask(client, scope === undefined ? {} : { scope })
    expect([status, json['error']]).toEqual([400, error])
    if (error !== 'invalid_target') return
    const listed = 'resources' in metadata ? metadata.resources : [`${postern.issuer}/admin/api`]
    for (const identifier of listed) expect(json['error_description']).toContain(`resource=${identifier}`)
  })
})

describe('default_resource', () => {
  test('must be one of resources if the client lists them', async () => {
    const wrong = createClient({ resources: [files], default_resource: mail })
    await expect(wrong).rejects.toThrow(/default_resource must be one of resources/)
    const client = await createClient({ resources: [files, mail], default_resource: mail })
    const narrower = operate(postern, 'client update', { client_id: client.client_id, resources: [files] })
    await expect(narrower).rejects.toThrow(/default_resource must be one of resources/)
  })

  test('grants nothing that the client could not have asked for', async () => {
    const client = await postern.createClient({ ...machine, scope: 'read', default_resource: files })
    const answer = await send(postern, '/oauth/token', {
      client,
      form: { grant_type: 'client_credentials', scope: 'read' },
    })
    expect(said(answer)[0]).toBe('invalid_scope')
    expect(
      await refusal(oidc.clientCredentialsGrant(await discover(postern, client), { resource: files })),
    ).toMatchObject({
      error: 'invalid_target',
    })
  })
})
