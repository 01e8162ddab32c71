import { SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { skip } from '../../../src/oidc/consent/record.ts'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { operate } from '../../support/operator.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover, type LoginOptions, login, refusal } from '../../support/relying-party.ts'
import { createVisitor, type Page, tickboxes, type Visitor } from '../../support/visitor.ts'
import { answerOf, createKey, send } from '../../support/wire.ts'

const api = 'https://api.example'
const [deviceGrant, webGrants] = [
  'urn:ietf:params:oauth:grant-type:device_code',
  ['authorization_code', 'refresh_token'],
]
let postern: TestPostern
let client: ClientMetadata
let email: string
let people = 0

beforeAll(async () => {
  postern = await startPostern()
  await postern.createResource({ identifier: api, name: 'Files', scopes: { read: 'Read', write: 'Write' } })
})
afterAll(() => postern?.stop())
beforeEach(async () => {
  email = `person${++people}@example.com`
  await postern.createAccount(email, { name: 'Ada Lovelace', locale: 'en' })
  client = await postern.createClient({ first_party: true })
})

type Asked = Omit<LoginOptions, 'email'> & { visitor?: Visitor }

/** Returns where a request leads after the sign-in: to a page, or back to the app. */
async function ask(parameters: Asked, who = client): Promise<{ page: Page; visitor: Visitor; verifier: string }> {
  const config = await discover(postern, who)
  const begun = await beginLogin(config, { issuer: postern.issuer, ...parameters })
  const { page, visitor } = begun
  return { ...begun, page: page.body.includes('name="password"') ? await visitor.signIn(page, email) : page }
}

const isBack = ({ url }: Page) => url.startsWith('https://rp.example/cb?code=')
const asked = (page: Page) => tickboxes(page.body).map(({ value }) => value)
const tell = (client_id: string, changes: Record<string, unknown>) =>
  operate(postern, 'client update', { client_id, ...changes })

/** Returns this person's audit events of one type, in order. */
async function audit(type: string): Promise<unknown[]> {
  const rows = await postern.database.query(
    `select e.details from audit_events e join accounts a on a.id = e.account_id
     where a.email = $1 and e.type = $2 order by e.id`,
    [email, type],
  )
  return rows.map(({ details }) => details)
}

const grants = () =>
  postern.database.query(
    'select g.id, g.shown from grants g join accounts a on a.id = g.account_id where a.email = $1',
    [email],
  )

/** Redeems the code that an app was sent. */
async function redeem(page: Page, { verifier }: { verifier: string }, who = client): Promise<Record<string, unknown>> {
  const code = answerOf(page.url)['code'] ?? ''
  const form = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: 'https://rp.example/cb',
    code_verifier: verifier,
  }
  const { status, text, json } = await send(postern, '/oauth/token', { client: who, form })
  expect(status, text).toBe(200)
  return json
}
const scopesOf = ({ scope }: { scope?: unknown }) => String(scope).split(' ').sort()

describe('a first-party client', () => {
  test('gets every scope, claim and API scope that it asks for without any question', async () => {
    const begun = await ask({
      scope: 'openid email read write',
      resource: api,
      claims: JSON.stringify({ userinfo: { locale: null } }),
    })
    expect(isBack(begun.page)).toBe(true)
    expect(scopesOf(await redeem(begun.page, begun))).toEqual(['read', 'write'])
    const claims = JSON.stringify({ userinfo: { locale: null } })
    const again = await ask({ visitor: begun.visitor, scope: 'openid email', claims, prompt: 'none' })
    const tokens = await redeem(again.page, again)
    const { json } = await send(postern, '/oauth/userinfo', { bearer: String(tokens['access_token']) })
    expect(json).toMatchObject({ email, locale: 'en' })
  })

  test('has its grant recorded, with an audit event each time that it grows and no other', async () => {
    const { visitor } = await ask({ scope: 'openid email' })
    const [first] = await grants()
    await ask({ visitor, scope: 'openid email' })
    await ask({ visitor, scope: 'email openid' })
    await ask({ scope: 'openid' })
    expect(await audit('consent.skipped')).toEqual([
      { granted: { scopes: ['openid', 'email'], claims: [], resources: {} } },
    ])
    await ask({ visitor, scope: 'openid profile read', resource: api })
    expect((await audit('consent.skipped')).slice(1)).toEqual([
      { granted: { scopes: ['profile'], claims: [], resources: { [api]: ['read'] } } },
    ])
    expect((await grants()).map(({ id }) => id)).toEqual([first?.['id']])
    expect(await audit('consent.given')).toEqual([])
  })

  test('is answered with prompt=none even if nothing was granted before', async () => {
    const other = await postern.createClient({ first_party: true })
    const { visitor } = await ask({ scope: 'openid' }, other)
    const { page } = await ask({ visitor, scope: 'openid email', prompt: 'none' })
    expect(isBack(page)).toBe(true)
    const stranger = await postern.createClient()
    const refused = await ask({ visitor, scope: 'openid email', prompt: 'none' }, stranger)
    expect(answerOf(refused.page.url)['error']).toBe('consent_required')
  })

  test('gets one grant from twenty simultaneous requests', async () => {
    const { db } = postern.server.postern.database
    const { id: accountId } = await postern.createAccount(`${email}.too`)
    const granted = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        skip(db, {
          accountId,
          clientId: client.client_id,
          requested: { scopes: ['openid', n % 2 ? 'email' : 'profile'], claims: [], resources: {} },
          lifetimeSeconds: 60,
          event: {},
        }),
      ),
    )
    expect(new Set(granted.map(({ id }) => id)).size).toBe(1)
    const lines = await postern.database.query(
      `select details->'granted'->'scopes' as scopes from audit_events where type = 'consent.skipped' and account_id = $1`,
      [accountId],
    )
    expect(lines.flatMap(({ scopes }) => scopes).sort()).toEqual(['email', 'openid', 'profile'])
  })

  test('still shows the question with prompt=consent, and a denial lasts until the next one', async () => {
    const { page, visitor } = await ask({ scope: 'openid email profile', prompt: 'consent' })
    expect(asked(page)).toEqual(['openid', 'email', 'profile'])
    expect(await audit('consent.skipped')).toEqual([])
    expect(isBack(await visitor.allow(page, ['profile']))).toBe(true)
    for (const scope of ['openid email profile', 'openid email profile phone']) {
      const again = await ask({ visitor, scope })
      expect(isBack(again.page)).toBe(true)
      expect(scopesOf(await redeem(again.page, again))).not.toContain('email')
    }
    const last = await ask({ visitor, scope: 'openid email', prompt: 'consent' })
    expect(asked(last.page)).toEqual(['openid', 'email'])
    const allowed = await visitor.allow(last.page, ['email'])
    expect(scopesOf(await redeem(allowed, last))).toEqual(['email', 'openid'])
  })

  test('respects what the person denied it before it became first-party', async () => {
    const former = await postern.createClient()
    const { page, visitor } = await ask({ scope: 'openid email profile' }, former)
    await visitor.allow(page, ['profile'])
    await tell(former.client_id, { first_party: true, client_name: 'By another name' })
    const again = await ask({ visitor, scope: 'openid email profile address' }, former)
    expect(isBack(again.page)).toBe(true)
    expect(scopesOf(await redeem(again.page, again, former))).toEqual(['address', 'openid', 'profile'])
  })

  test.each<[Record<string, string>, (visitor: Visitor, page: Page) => Promise<Page>]>([
    [{ prompt: 'login' }, (visitor, page) => visitor.signIn(page, email)],
    [{ max_age: '0' }, (visitor, page) => visitor.signIn(page, email)],
    [{ prompt: 'select_account' }, (visitor, page) => visitor.submit(page, '/continue', { decision: 'continue' })],
  ])('is granted nothing before it is clear who answers (%o)', async (parameters, answer) => {
    const other = await postern.createClient({ first_party: true })
    const { visitor } = await ask({ scope: 'openid' }, other)
    const config = await discover(postern, client)
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, ...parameters })
    expect(page.url).toContain('/interaction/')
    expect(await grants()).toHaveLength(1)
    expect(isBack(await answer(visitor, page))).toBe(true)
    expect(await grants()).toHaveLength(2)
  })

  test('asks each time if it is a native app, since other programs could imitate it (RFC 8252 §8.6)', async () => {
    const app = await postern.createClient({
      first_party: true,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
    })
    const { page, visitor } = await ask({ scope: 'openid email' }, app)
    expect(asked(page)).toEqual(['openid', 'email'])
    await visitor.allow(page)
    expect(asked((await ask({ visitor, scope: 'openid email' }, app)).page)).toEqual(['openid', 'email'])
    const silent = await ask({ visitor, scope: 'openid email', prompt: 'none' }, app)
    expect(answerOf(silent.page.url)['error']).toBe('interaction_required')
    expect(await audit('consent.skipped')).toEqual([])
  })

  test('asks on a device only for the code to be confirmed', async () => {
    const tv = await postern.createClient({
      first_party: true,
      grant_types: [deviceGrant, 'refresh_token'],
      redirect_uris: [],
      response_types: [],
    })
    const started = await send(postern, '/oauth/device_authorization', {
      client: tv,
      form: { scope: 'openid email offline_access' },
    })
    const { user_code, device_code } = started.json as { user_code: string; device_code: string }
    const visitor = createVisitor(postern.issuer)
    const entered = await visitor.submit(await visitor.get('/device'), '/device', { user_code })
    const page = await visitor.signIn(await visitor.submit(entered, '/device', { confirm: 'yes' }), email)
    expect(page.body).toContain('Your device is connected')
    const form = { grant_type: String(deviceGrant), device_code }
    const { json } = await send(postern, '/oauth/token', { client: tv, form })
    expect(scopesOf(json)).toEqual(['email', 'offline_access', 'openid'])
    expect(json['refresh_token']).toBeTruthy()
  })
})

describe('OpenID Connect Core §11: offline_access for a first-party client', () => {
  const scope = 'openid offline_access'

  test('needs no consent, since the operator answers for it', async () => {
    const { tokens, config } = await login(postern, client, { email, scope, prompt: undefined })
    const refreshed = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
    expect(scopesOf(refreshed)).toEqual(['offline_access', 'openid'])
  })

  test('needs none with prompt=none either', async () => {
    const { visitor } = await ask({ scope: 'openid' })
    const begun = await ask({ visitor, scope, prompt: 'none' })
    expect(await redeem(begun.page, begun)).toHaveProperty('refresh_token')
  })

  test('is granted for a pushed request and a signed one too', async () => {
    const { key, jwks } = await createKey()
    await tell(client.client_id, { jwks })
    const config = await discover(postern, client)
    const verifier = oidc.randomPKCECodeVerifier()
    const request = {
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: 'https://rp.example/cb',
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      scope,
    }
    const sign = (scope: string) =>
      new SignJWT({ ...request, scope, aud: postern.issuer, iss: client.client_id })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .setIssuedAt()
        .setExpirationTime('1 min')
        .sign(key)
    const visitor = createVisitor(postern.issuer)
    const at = async (url: URL | string) =>
      redeem({ url: String(await completeLogin({ page: await visitor.get(String(url)), visitor }, email)) } as Page, {
        verifier,
      })
    const byValue = (jar: string, more = {}) =>
      `/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, request: jar, ...more })}`

    expect(await at(await oidc.buildAuthorizationUrlWithPAR(config, request))).toHaveProperty('refresh_token')
    const jar = { client_id: client.client_id, request: await sign(scope) }
    expect(await at(await oidc.buildAuthorizationUrlWithPAR(config, jar))).toHaveProperty('refresh_token')
    expect(await at(byValue(await sign(scope)))).toHaveProperty('refresh_token')
    // RFC 9101 §6.3: parameters beside the request object do not count.
    expect(await at(byValue(await sign('openid'), { scope }))).not.toHaveProperty('refresh_token')
  })

  test.each([
    ['does not ask for it', {}, 'openid'],
    ['may not refresh', { grant_types: ['authorization_code'] }, scope],
    ['is not registered for it', { scope: 'openid email' }, scope],
  ])('is not granted to a client that %s', async (_what, metadata, wanted) => {
    const own = await postern.createClient({ first_party: true, grant_types: webGrants, ...metadata })
    const begun = await ask({ scope: wanted }, own)
    const page = isBack(begun.page) ? begun.page : await begun.visitor.allow(begun.page)
    const tokens = await redeem(page, begun, own)
    expect(scopesOf(tokens)).toEqual(['openid'])
    expect(tokens).not.toHaveProperty('refresh_token')
  })
})

describe('a client that is no longer first-party', () => {
  test('asks the person for what they never consented to, and for nothing else', async () => {
    const former = await postern.createClient()
    const { page, visitor } = await ask({ scope: 'openid email' }, former)
    await visitor.allow(page)
    await tell(former.client_id, { first_party: true })
    await ask({ visitor, scope: 'openid profile address read', resource: api }, former)
    await tell(former.client_id, { first_party: null })

    expect(isBack((await ask({ visitor, scope: 'openid email' }, former)).page)).toBe(true)
    const silent = await ask({ visitor, scope: 'openid profile', prompt: 'none' }, former)
    expect(answerOf(silent.page.url)['error']).toBe('consent_required')

    const some = await ask({ visitor, scope: 'openid email profile read', resource: api }, former)
    expect(asked(some.page)).toEqual(['profile', `${api} read`])
    const allowed = await visitor.allow(some.page)
    expect(scopesOf(await redeem(allowed, some, former))).toEqual(['read'])
    const again = await ask({ visitor, scope: 'openid email profile' }, former)
    expect(scopesOf(await redeem(again.page, again, former))).toEqual(['email', 'openid', 'profile'])
    // The answer to one question is not the answer to the others.
    expect(asked((await ask({ visitor, scope: 'openid address' }, former)).page)).toEqual(['address'])
  })

  test('asks for everything if the person was never asked before', async () => {
    const { visitor } = await ask({ scope: 'openid email' })
    await tell(client.client_id, { first_party: null })
    const { page } = await ask({ visitor, scope: 'openid email' })
    expect(asked(page)).toEqual(['openid', 'email'])
    const allowed = await visitor.allow(page, [])
    expect(isBack(allowed)).toBe(true)
    expect(await grants()).toEqual([{ id: expect.any(String), shown: { name: 'Test app', host: 'rp.example' } }])
    const again = await ask({ visitor, scope: 'openid email' })
    expect(scopesOf(await redeem(again.page, again))).toEqual(['openid'])
  })

  test('loses its tokens, since nobody consented to them', async () => {
    const { tokens, config } = await login(postern, client, {
      email,
      scope: 'openid offline_access',
      prompt: undefined,
    })
    await tell(client.client_id, { first_party: null })
    const after = await refusal(oidc.refreshTokenGrant(config, String(tokens.refresh_token)))
    expect(after.error).toBe('invalid_grant')
  })
})
