import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { operate } from '../../support/operator.ts'
import { withoutOwnScripts } from '../../support/page-examples.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover, login } from '../../support/relying-party.ts'
import { createVisitor, type Page, tickboxes, type Visitor } from '../../support/visitor.ts'
import { answerOf } from '../../support/wire.ts'

let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration
let email: string
let people = 0

const api = 'https://api.example'
const profile = { name: 'Ada Lovelace', phone_number: '+44 20 7946 0000' }

beforeAll(async () => {
  postern = await startPostern()
  await postern.createResource({
    identifier: api,
    name: 'Files',
    scopes: { read: 'Read files', write: 'Change files' },
  })
})
afterAll(() => postern?.stop())
beforeEach(async () => {
  people += 1
  email = `person${people}@example.com`
  await postern.createAccount(email, profile)
  client = await postern.createClient()
  config = await discover(postern, client)
})

type Asked = {
  visitor?: Visitor
  scope?: string
  prompt?: string
  resource?: string
  claims?: string
  nonce?: undefined
}

/** Returns the page that a login leads to after the sign-in: a consent page, or the app. */
async function ask(parameters: Asked): Promise<{ page: Page; visitor: Visitor }> {
  const { page, visitor } = await beginLogin(config, { issuer: postern.issuer, ...parameters })
  return { page: page.body.includes('name="password"') ? await visitor.signIn(page, email) : page, visitor }
}
const isBack = ({ url }: Page) => url.startsWith('https://rp.example/cb')
const names = (page: Page) => tickboxes(page.body).map(({ value }) => value)
const ticked = (page: Page) =>
  tickboxes(page.body)
    .filter(({ isChecked }) => isChecked)
    .map(({ value }) => value)

async function grants(): Promise<Record<string, unknown>[]> {
  return postern.database.query(
    `select g.id, g.payload from grants g join accounts a on a.id = g.account_id where a.email = $1`,
    [email],
  )
}

describe('a scope that was denied', () => {
  test('is absent from everything that the app receives, even after a refresh', async () => {
    const { tokens, config } = await login(postern, client, {
      email,
      scope: 'openid profile email offline_access',
      scopes: ['profile', 'offline_access'],
    })
    const subject = String(tokens.claims()?.sub)
    let current: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers = tokens
    for (const isRefreshed of [false, true]) {
      if (isRefreshed) current = await oidc.refreshTokenGrant(config, String(tokens.refresh_token))
      expect(current.scope?.split(' ').sort()).toEqual(['offline_access', 'openid', 'profile'])
      expect(current.claims()).not.toHaveProperty('email')
      const userinfo = await oidc.fetchUserInfo(config, current.access_token, subject)
      expect(userinfo).toMatchObject({ name: 'Ada Lovelace' })
      expect(userinfo).not.toHaveProperty('email')
      expect(userinfo).not.toHaveProperty('email_verified')
      for (const token of [current.access_token, String(current.refresh_token)]) {
        const { active, scope } = await oidc.tokenIntrospection(config, token)
        expect(active).toBe(true)
        expect(String(scope).split(' ')).not.toContain('email')
      }
    }
    await expect(
      oidc.refreshTokenGrant(config, String(current.refresh_token), { scope: 'openid email' }),
    ).rejects.toMatchObject({ status: 400 })
  })

  test('does not appear again for the same request', async () => {
    const { visitor } = await login(postern, client, { email, scope: 'openid profile email', scopes: ['profile'] })
    expect(isBack((await ask({ visitor, scope: 'openid profile email' })).page)).toBe(true)
  })

  test('appears again with prompt=consent, unticked, and can then be granted', async () => {
    const { visitor } = await login(postern, client, { email, scope: 'openid profile email', scopes: ['profile'] })
    const { page } = await ask({ visitor, scope: 'openid profile email', prompt: 'consent' })
    expect(names(page)).toEqual(['openid', 'profile', 'email'])
    expect(ticked(page)).toEqual(['openid', 'profile'])
    await visitor.allow(page)
    const { tokens, config } = await login(postern, client, { email, visitor, scope: 'openid profile email' })
    expect(await oidc.fetchUserInfo(config, tokens.access_token, String(tokens.claims()?.sub))).toMatchObject({ email })
  })

  test('is absent from a resource server’s token (RFC 8707)', async () => {
    const { page, visitor } = await ask({ scope: 'openid read write', resource: api })
    const answer = await visitor.submit(page, '/consent', {
      decision: 'allow',
      scope: ['openid'],
      resource_scope: [`${api} read`],
    })
    expect(isBack(answer)).toBe(true)
    const { tokens } = await login(postern, client, {
      email,
      visitor,
      scope: 'openid read write',
      resource: api,
      tokenParameters: { resource: api },
    })
    expect(tokens.scope).toBe('read')
    const again = await ask({ visitor, scope: 'openid read write', resource: api, prompt: 'consent' })
    expect(ticked(again.page)).toEqual(['openid', `${api} read`])
  })
})

describe('a grant', () => {
  test('limits the question of a wider request to the new scopes', async () => {
    const { visitor } = await login(postern, client, { email, scope: 'openid profile' })
    const { page } = await ask({ visitor, scope: 'openid profile phone' })
    expect(names(page)).toEqual(['phone'])
    await visitor.allow(page)
    const { tokens, config } = await login(postern, client, { email, visitor, scope: 'openid profile phone' })
    expect(await oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck)).toMatchObject(profile)
  })

  test('can be withdrawn with prompt=consent, which also affects tokens issued before', async () => {
    const first = await login(postern, client, { email, scope: 'openid profile' })
    const { page } = await ask({ visitor: first.visitor, scope: 'openid profile', prompt: 'consent' })
    await first.visitor.allow(page, [])
    const userinfo = await oidc.fetchUserInfo(first.config, first.tokens.access_token, oidc.skipSubjectCheck)
    expect(userinfo).not.toHaveProperty('name')
  })

  test('is remembered after signing out, and in another browser', async () => {
    const { visitor, config, tokens } = await login(postern, client, { email, scope: 'openid profile' })
    const page = await visitor.get(oidc.buildEndSessionUrl(config, { id_token_hint: String(tokens.id_token) }).href)
    expect((await visitor.submit(page, '/oauth/logout/confirm', { logout: 'yes' })).body).toContain(
      'You are signed out',
    )
    expect(isBack((await ask({ visitor, scope: 'openid profile' })).page)).toBe(true)
    expect(isBack((await ask({ visitor: createVisitor(postern.issuer), scope: 'openid profile' })).page)).toBe(true)
    expect(await grants()).toHaveLength(1)
  })

  test('is one row for an account and a client, however often it is answered, even by two tabs at once', async () => {
    const visitor = createVisitor(postern.issuer)
    const first = await ask({ visitor, scope: 'openid profile', prompt: 'consent' })
    const pages = [first.page]
    pages.push((await ask({ visitor, scope: 'openid email', prompt: 'consent' })).page)
    const answers = await Promise.all(pages.map((page) => visitor.allow(page)))
    expect(answers.filter(isBack)).toHaveLength(2)
    const [grant, ...others] = await grants()
    expect(others).toEqual([])
    const payload = grant?.['payload'] as { openid: { scope: string } } | undefined
    expect(payload?.openid.scope.split(' ').sort()).toEqual(['email', 'openid', 'profile'])
  })

  test.each([
    ['name', { client_name: 'Another name' }, {}],
    ['redirect host', {}, { redirect_uri: 'https://elsewhere.example/cb' }],
  ])('is confirmed again when the %s of the app has changed', async (_what, metadata, parameters) => {
    const uris = ['https://rp.example/cb', 'https://elsewhere.example/cb']
    client = await postern.createClient({ redirect_uris: uris })
    config = await discover(postern, client)
    const { visitor } = await login(postern, client, { email, scope: 'openid profile email' })
    if ('client_name' in metadata) {
      await postern.database.query(
        `update clients set metadata = jsonb_set(metadata, '{client_name}', to_jsonb($2::text)), updated_at = now() where id = $1`,
        [client.client_id, metadata.client_name],
      )
      postern.server.postern.clients.forget(client.client_id)
    }
    const { page } = await ask({ visitor, scope: 'openid profile', ...parameters })
    expect(names(page)).toEqual(['openid', 'profile'])
    await visitor.allow(page)
    expect((await ask({ visitor, scope: 'openid profile', ...parameters })).page.url).toContain('code=')
  })

  test('is confirmed at every login for a native app, since any program on the machine could be it (RFC 8252 §8.6)', async () => {
    client = await postern.createClient({
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['http://127.0.0.1/cb'],
    })
    config = await discover(postern, client)
    const asked = { scope: 'openid profile email', redirect_uri: 'http://127.0.0.1:49152/cb' }
    const { page, visitor } = await ask(asked)
    const back = await visitor.allow(page, ['profile'])
    expect(back.url).toContain('http://127.0.0.1:49152/cb?')
    const again = await ask({ visitor, ...asked })
    expect(names(again.page)).toEqual(['openid', 'profile', 'email'])
    expect(ticked(again.page)).toEqual(['openid', 'profile'])
  })
})

describe('OpenID Connect Core §5.5: claims requested by name', () => {
  const claims = JSON.stringify({ userinfo: { email: { essential: true } }, id_token: { phone_number: null } })

  test('are ticked one by one, and a denied one is absent', async () => {
    const { page, visitor } = await ask({ claims })
    expect(names(page)).toEqual(['openid', 'email', 'phone_number'])
    await visitor.submit(page, '/consent', { decision: 'allow', scope: ['openid'], claim: ['phone_number'] })
    const { tokens, config } = await login(postern, client, { email, visitor, claims })
    expect(tokens.claims()).toMatchObject({ phone_number: '+44 20 7946 0000' })
    expect(await oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck)).not.toHaveProperty('email')
  })

  test('can be granted with prompt=consent after they were denied', async () => {
    const { page, visitor } = await ask({ claims })
    await visitor.submit(page, '/consent', { decision: 'allow', scope: ['openid'], claim: ['phone_number'] })
    const again = await ask({ visitor, claims, prompt: 'consent' })
    expect(names(again.page)).toEqual(['openid', 'email', 'phone_number'])
    expect(ticked(again.page)).toEqual(['openid', 'phone_number'])
    await visitor.allow(again.page)
    const { tokens, config } = await login(postern, client, { email, visitor, claims })
    expect(await oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck)).toMatchObject({ email })
  })
})

describe('OpenID Connect Core §11: offline_access', () => {
  test.each([
    ['is asked for with prompt=consent and refresh tokens', { prompt: 'consent' }, {}, true],
    ['is asked for without prompt=consent too', {}, {}, true],
    [
      'is omitted for an app without refresh tokens',
      { prompt: 'consent' },
      { grant_types: ['authorization_code'] },
      false,
    ],
  ])('%s', async (_what, parameters, metadata, isAsked) => {
    client = await postern.createClient(metadata)
    config = await discover(postern, client)
    const { page, visitor } = await ask({ scope: 'openid offline_access', ...parameters })
    expect(names(page).includes('offline_access')).toBe(isAsked)
    await visitor.allow(page)
    const [grant] = await grants()
    expect(JSON.stringify(grant).includes('offline_access')).toBe(isAsked)
  })

  test('yields no refresh token if it is denied', async () => {
    const { tokens } = await login(postern, client, { email, scope: 'openid offline_access', scopes: [] })
    expect(tokens.refresh_token).toBeUndefined()
  })
})

describe('an answer on the consent page', () => {
  test.each([
    ['a scope that was not asked for', { scope: ['openid', 'email'] }],
    ['a scope that does not exist', { scope: ['openid', 'admin'] }],
    ['a property of every object', { scope: ['openid', 'constructor'] }],
    ['a claim that was not asked for', { claim: ['email'] }],
    ['a scope of a resource server that was not asked for', { resource_scope: [`${api} write`] }],
    ['a scope of a resource server that does not exist', { resource_scope: ['https://other.example read'] }],
    ['a resource server named like a property of every object', { resource_scope: ['constructor read'] }],
    ['a resource server without a scope', { resource_scope: [api] }],
  ])('is rejected when it ticks %s', async (_what, fields) => {
    const { page, visitor } = await ask({ scope: 'openid profile read', resource: api })
    const answer = await visitor.submit(page, '/consent', { decision: 'allow', scope: ['openid'], ...fields })
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('We could not read your answer.')
    expect(names(answer)).toEqual(['openid', 'profile', `${api} read`])
    expect(await grants()).toEqual([])
    expect(isBack(await visitor.allow(answer))).toBe(true)
  })

  test('that would leave nothing of the request granted is asked for again, and nothing is granted or denied', async () => {
    const { page, visitor } = await ask({ scope: 'read write', resource: api, nonce: undefined })
    const answer = await visitor.submit(page, '/consent', { decision: 'allow' })
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('Nothing is ticked.')
    expect(names(answer)).toEqual([`${api} read`, `${api} write`])
    expect(ticked(answer)).toEqual([])
    expect(await grants()).toEqual([])

    const back = await visitor.submit(answer, '/consent', { decision: 'allow', resource_scope: [`${api} read`] })
    expect(isBack(back)).toBe(true)
    const again = await ask({
      visitor,
      scope: 'read write',
      resource: api,
      nonce: undefined,
      prompt: 'consent',
    })
    expect(ticked(again.page)).toEqual([`${api} read`])
    const withdrawn = await visitor.submit(again.page, '/consent', { decision: 'allow' })
    expect(withdrawn.body).toContain('Nothing is ticked.')
    expect(isBack(await visitor.submit(withdrawn, '/consent', { decision: 'deny' }))).toBe(true)
  })

  test('denies everything that is new and goes back to the app if something was granted before', async () => {
    const { visitor } = await login(postern, client, { email, scope: 'openid profile' })
    const { page } = await ask({ visitor, scope: 'openid profile email' })
    expect(names(page)).toEqual(['email'])
    expect(isBack(await visitor.submit(page, '/consent', { decision: 'allow' }))).toBe(true)
    const { tokens } = await login(postern, client, { email, visitor, scope: 'openid profile email' })
    expect(tokens.scope?.split(' ').sort()).toEqual(['openid', 'profile'])
  })

  test('cannot untick what the app requires', async () => {
    client = await postern.createClient({ required_scopes: 'profile' })
    config = await discover(postern, client)
    const { page, visitor } = await ask({ scope: 'openid profile email' })
    expect(tickboxes(page.body).filter(({ isDisabled }) => isDisabled)).toHaveLength(2)
    await visitor.submit(page, '/consent', { decision: 'allow', scope: [] })
    const { tokens } = await login(postern, client, { email, visitor, scope: 'openid profile email' })
    expect(tokens.scope?.split(' ').sort()).toEqual(['openid', 'profile'])
  })

  test('is requested again for a denied scope that the app requires later, and for nothing else', async () => {
    const asked = { email, scope: 'openid profile email' }
    const { visitor } = await login(postern, client, { ...asked, scopes: ['profile'] })
    await operate(postern, 'client update', { client_id: client.client_id, required_scopes: 'email phone' })

    const silent = await ask({ visitor, scope: asked.scope, prompt: 'none' })
    expect(answerOf(silent.page.url)).toMatchObject({ error: 'consent_required' })
    expect(isBack((await ask({ visitor, scope: 'openid profile' })).page)).toBe(true)
    const { page } = await ask({ visitor, scope: asked.scope })
    expect(tickboxes(page.body)).toMatchObject([{ value: 'email', isChecked: true, isDisabled: true }])

    const refused = await visitor.submit(page, '/consent', { decision: 'deny' })
    expect(answerOf(refused.url)).toMatchObject({ error: 'access_denied' })
    const again = await ask({ visitor, scope: asked.scope })
    expect(names(again.page)).toEqual(['email'])
    expect(isBack(await visitor.submit(again.page, '/consent', { decision: 'allow' }))).toBe(true)
    const { tokens } = await login(postern, client, { ...asked, visitor, prompt: 'none' })
    expect(tokens.scope?.split(' ').sort()).toEqual(['email', 'openid', 'profile'])
  })

  test('cannot exceed the scope that the app is registered for (RFC 7591 §2)', async () => {
    client = await postern.createClient({ scope: 'openid profile' })
    config = await discover(postern, client)
    const { page } = await ask({ scope: 'openid profile email' })
    expect(new URL(page.url).searchParams.get('error')).toBe('invalid_scope')
  })

  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'does not concern an unknown scope named like a property of every object: %s',
    async (name) => {
      const { page, visitor } = await ask({ scope: `openid ${name}`, prompt: 'consent', resource: api })
      expect(names(page)).toEqual(['openid'])
      expect(isBack(await visitor.allow(page))).toBe(true)
    },
  )
})

describe('RFC 6749 §4.1.2.1: a person who denies', () => {
  test.each(['deny', 'cancel'])('sends access_denied back with the state (“%s”)', async (how) => {
    const { page, visitor, state } = await beginLogin(config, { issuer: postern.issuer, scope: 'openid profile' })
    const answer =
      how === 'cancel'
        ? await visitor.submit(page, '/abort')
        : await visitor.submit(await visitor.signIn(page, email), '/consent', { decision: 'deny', scope: ['openid'] })
    const { searchParams } = new URL(answer.url)
    expect(isBack(answer)).toBe(true)
    expect(searchParams.get('error')).toBe('access_denied')
    expect(searchParams.get('state')).toBe(state)
    expect(searchParams.get('code')).toBeNull()
    expect(await grants()).toEqual([])
  })

  test('sees the question again the next time', async () => {
    const { page, visitor } = await ask({ scope: 'openid profile' })
    await visitor.submit(page, '/consent', { decision: 'deny' })
    expect(names((await ask({ visitor, scope: 'openid profile' })).page)).toEqual(['openid', 'profile'])
  })

  test('keeps what was granted before', async () => {
    const { visitor } = await login(postern, client, { email, scope: 'openid profile' })
    const { page } = await ask({ visitor, scope: 'openid profile email' })
    expect(names(page)).toEqual(['email'])
    await visitor.submit(page, '/consent', { decision: 'deny' })
    expect(isBack((await ask({ visitor, scope: 'openid profile' })).page)).toBe(true)
  })
})

describe('the consent page', () => {
  test('shows whose account it is, who asks, where the answer goes, and the data that would be shared', async () => {
    const { page } = await ask({ scope: 'openid profile email' })
    for (const text of ['Test app', 'rp.example', email, 'Ada Lovelace']) expect(page.body).toContain(text)
  })

  test('warns of an app that registered itself, and of no other', async () => {
    expect((await ask({})).page.body).not.toContain('Nobody here has reviewed this app.')
    client = await postern.createClient() // no process knows this one yet
    config = await discover(postern, client)
    await postern.database.query('update clients set dynamic = true where id = $1', [client.client_id])
    const { body } = (await ask({})).page
    expect(body).toContain('Nobody here has reviewed this app.')
    expect(body).toContain('<bdi class="name">“Test app”</bdi>')
  })

  test('does not repeat a name that a stranger could not register today', async () => {
    await postern.database.query(
      `update clients set dynamic = true, metadata = metadata || '{"client_name": "Acme\u3164"}' where id = $1`,
      [client.client_id],
    )
    const { body } = (await ask({})).page
    expect(body).toContain(`<bdi class="name">“${client.client_id}”</bdi>`)
    expect(body).not.toContain('Acme')
  })

  test('never turns an app’s description of itself into markup or a script', async () => {
    const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`
    client = await postern.createClient({ client_name: hostile })
    // No policy allows this registration, but the page does not rely on that.
    await postern.database.query('update clients set metadata = metadata || $1 where id = $2', [
      { client_uri: 'https://notes.example/?"><script>' },
      client.client_id,
    ])
    postern.server.postern.clients.forget(client.client_id)
    config = await discover(postern, client)
    const { page, visitor } = await beginLogin(config, {
      issuer: postern.issuer,
      login_hint: hostile,
      state: hostile,
      scope: 'openid profile',
    })
    const consentPage = await visitor.signIn(page, email)
    const gone = await createVisitor(postern.issuer).get(page.url)
    for (const { body } of [page, consentPage, gone]) {
      expect(body).toContain('&lt;script&gt;')
      expect(withoutOwnScripts(body)).not.toMatch(/<script|<img/)
    }
  })

  test('offers a way to sign in as another person', async () => {
    const other = `other.${email}`
    await postern.createAccount(other)
    const { page, visitor } = await ask({ scope: 'openid profile' })
    const signInPage = await visitor.submit(page, '/switch')
    expect(signInPage.body).toContain('name="password"')
    expect(signInPage.body).not.toContain(email)
    const consentPage = await visitor.signIn(signInPage, other)
    expect(consentPage.body).toContain(other)
    const callback = await completeLogin({ page: consentPage, visitor }, other)
    expect(callback.searchParams.get('code')).toBeTruthy()
    expect(await grants()).toEqual([]) // nothing for the first person
  })
})
