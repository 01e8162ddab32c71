import { decodeJwt } from 'jose'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { eventually } from '../../support/eventually.ts'
import { mailsTo } from '../../support/mailbox.ts'
import { canSignIn } from '../../support/people.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover, type Login } from '../../support/relying-party.ts'
import { administerUpstream, connectPosterns, continueWith } from '../../support/upstream.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

let postern: TestPostern
let home: TestPostern
let app: ClientMetadata
let rp: oidc.Configuration

beforeAll(async () => {
  ;[postern, home] = await Promise.all([startPostern({ SIGN_UP: 'open' }), startPostern()])
  await connectPosterns(postern, home)
  for (const domain of ['home', 'elsewhere'])
    await home.createAccount(`ada@${domain}.example`, { name: 'Ada Lovelace' })
  app = await postern.createClient({ redirect_uris: ['https://rp.example/cb'] })
  rp = await discover(postern, app)
})
beforeEach(async () => {
  for (const table of ['throttles', 'outbox', 'accounts']) await postern.database.query(`delete from ${table}`)
  await administerUpstream(postern, 'update', {
    ...{ id: 'home', authority_domains: ['home.example'], is_alone: null, sign_up: null, mapping: null },
  })
})
afterAll(() => Promise.all([postern?.stop(), home?.stop()]))

/** Signs in at the other server, and returns the page here that it leads to. */
async function throughHome(
  visitor: Visitor,
  away: Page,
  email: string,
  there = createVisitor(home.issuer),
): Promise<Page> {
  expect(new URL(away.url).origin).toBe(home.issuer)
  const callback = await completeLogin({ page: await there.get(away.url), visitor: there }, email)
  return visitor.get(callback.href)
}

const begin = (parameters: Record<string, unknown> = {}) =>
  beginLogin(rp, { issuer: postern.issuer, scope: 'openid email', ...parameters })

async function signIn(email: string): Promise<{ login: Login; page: Page }> {
  const login = await begin()
  const page = await throughHome(login.visitor, await continueWith(login.visitor, login.page), email)
  return { login, page }
}

async function tokensOf({ login, page }: { login: Login; page: Page }): Promise<Record<string, unknown>> {
  const callback = await completeLogin({ page, visitor: login.visitor }, '')
  const checks = { pkceCodeVerifier: login.verifier, expectedNonce: login.nonce, expectedState: login.state }
  return decodeJwt(String((await oidc.authorizationCodeGrant(rp, callback, checks)).id_token))
}

const accounts = () => postern.database.query('select email, email_verified, profile from accounts')
const identities = () => postern.database.query('select account_id, subject from identities')

describe('a sign-in with an account at another Postern', () => {
  test('creates an account for a new person, and signs them in to the same account the next time', async () => {
    const first = await tokensOf(await signIn('ada@home.example'))
    const second = await tokensOf(await signIn('ada@home.example'))
    expect(second['sub']).toBe(first['sub'])
    expect(first['amr'] ?? []).toEqual([])
    expect(await accounts()).toMatchObject([
      { email: 'ada@home.example', email_verified: true, profile: { name: 'Ada Lovelace' } },
    ])
  })

  test('creates an account whose address is not verified if the provider is no authority of its domain', async () => {
    await tokensOf(await signIn('ada@elsewhere.example'))
    expect(await accounts()).toMatchObject([{ email: 'ada@elsewhere.example', email_verified: false }])
  })

  test('creates no account where nobody may sign up', async () => {
    await administerUpstream(postern, 'update', { id: 'home', sign_up: 'refuse' })
    const { page } = await signIn('ada@home.example')
    expect(page.body).toContain('There is no account for you here.')
    expect(await accounts()).toEqual([])
  })

  test('never signs in to an account by its address alone', async () => {
    await postern.createAccount('ada@elsewhere.example')
    const { page } = await signIn('ada@elsewhere.example')
    expect(page.status).toBe(403)
    expect(page.body).toContain('This address already has an account.')
    expect(page.body).toContain('value="ada@elsewhere.example"')
    expect(await identities()).toEqual([])
  })

  test('signs in to the account with an address whose domain the provider is the authority of', async () => {
    const { id } = await postern.createAccount('ada@home.example')
    expect((await tokensOf(await signIn('ada@home.example')))['sub']).toBe(id)
    expect(await canSignIn(postern, 'ada@home.example')).toBe(true)
    expect((await mailsTo(postern, 'ada@home.example'))[0]?.subject).toContain('An account was linked')
  })

  test('removes the password of an account that somebody else made with the address before', async () => {
    const { id } = await postern.createAccount('ada@home.example')
    await postern.database.query('update accounts set email_verified = false')
    const hijacker = createVisitor(postern.issuer)
    await hijacker.signIn(await hijacker.get('/account'), 'ada@home.example')
    expect((await tokensOf(await signIn('ada@home.example')))['sub']).toBe(id)
    expect(await canSignIn(postern, 'ada@home.example')).toBe(false)
    expect((await hijacker.get('/account')).url).toContain('/interaction/')
  })

  test('is begun by a hint of the app, by the domain of an address, or by every request if it is alone', async () => {
    for (const parameters of [{ idp_hint: 'home' }, {}]) {
      const { page } = await begin(parameters)
      expect(new URL(page.url).origin, JSON.stringify(parameters)).toBe(home.issuer)
      await administerUpstream(postern, 'update', { id: 'home', is_alone: true })
    }
    await administerUpstream(postern, 'update', { id: 'home', is_alone: null })
    const { page, visitor } = await begin({ idp_hint: 'nobody' })
    expect(page.body).not.toMatch(/type="password"[^>]*required/)
    const away = await visitor.submit(page, '/sign-in', { email: 'someone@home.example', password: '' })
    expect(new URL(away.url).origin).toBe(home.issuer)
    expect((await visitor.submit(page, '/sign-in', { email: 'a@b.example', password: '' })).status).toBe(400)
  })

  test('takes over the claims that the rules of the provider name, at every sign-in', async () => {
    await administerUpstream(postern, 'update', { id: 'home', mapping: { nickname: 'name', sub: 'email' } })
    await tokensOf(await signIn('ada@home.example'))
    expect((await accounts())[0]).toMatchObject({ profile: { nickname: 'Ada Lovelace' } })
  })

  test('is over when the person says no there', async () => {
    const login = await begin()
    const away = await continueWith(login.visitor, login.page)
    const there = createVisitor(home.issuer)
    const refused = await there.submit(await there.get(away.url), '/abort')
    const page = await login.visitor.get(refused.url)
    expect(page.body).toContain('You went back before you were signed in.')
    expect(await accounts()).toEqual([])
  })

  test('can be tried out, with what the claims of a person would become', async () => {
    const mapping = {
      nickname: 'name',
      sub: 'email',
      groups: { from: 'org.roles', values: { admin: 'administrators' } },
    }
    await administerUpstream(postern, 'update', { id: 'home', mapping })
    const claims = { email: 'ada@home.example', name: 'Ada', org: { roles: ['admin', 'root'] } }
    expect(await administerUpstream(postern, 'try', { id: 'home', claims })).toMatchObject({
      metadata: { issuer: home.issuer },
      claims: { nickname: 'Ada', groups: ['administrators'] },
      left_out: ['sub'],
      is_authority: true,
    })
    await administerUpstream(postern, 'create', {
      id: 'gone',
      issuer: 'http://localhost:9',
      client_id: 'x',
      client_auth: 'none',
    })
    const tried = await administerUpstream(postern, 'try', { id: 'gone' })
    expect(tried).toMatchObject({ problem: expect.stringContaining('could not be fetched'), claims: {} })
    await administerUpstream(postern, 'delete', { id: 'gone' })
  })

  test('ends when the provider is disabled', async () => {
    const login = await begin()
    await administerUpstream(postern, 'disable', { id: 'home' })
    const page = await continueWith(login.visitor, login.page)
    expect(page.body).toContain('That sign-in did not work.')
    expect((await begin()).page.body).not.toContain('Continue with')
    await administerUpstream(postern, 'enable', { id: 'home' })
  })
})

describe('the end of a sign-in at another Postern', () => {
  const isSignedIn = async (visitor: Visitor) => new URL((await visitor.get('/account')).url).pathname === '/account'

  test('ends the sign-in here that rests on it, and no other', async () => {
    await postern.createAccount('ada@home.example')
    const [here, elsewhere, byPassword] = [1, 2, 3].map(() => createVisitor(postern.issuer)) as [
      Visitor,
      Visitor,
      Visitor,
    ]
    const there = createVisitor(home.issuer)
    await throughHome(here, await continueWith(here, await here.get('/account')), 'ada@home.example', there)
    await throughHome(elsewhere, await continueWith(elsewhere, await elsewhere.get('/account')), 'ada@home.example')
    await byPassword.signIn(await byPassword.get('/account'), 'ada@home.example')
    await there.submit(await there.get('/oauth/logout'), '/confirm', { logout: 'yes' })
    await eventually(async () => expect(await isSignedIn(here)).toBe(false))
    expect([await isSignedIn(elsewhere), await isSignedIn(byPassword)]).toEqual([true, true])
  })

  test('comes with the provider being disabled, if the operator wants that', async () => {
    const { login, page } = await signIn('ada@home.example')
    await completeLogin({ page, visitor: login.visitor }, '')
    expect(await isSignedIn(login.visitor)).toBe(true)
    await administerUpstream(postern, 'update', { id: 'home', ends_sessions: true })
    await administerUpstream(postern, 'disable', { id: 'home' })
    expect(await isSignedIn(login.visitor)).toBe(false)
    await administerUpstream(postern, 'enable', { id: 'home' })
  })
})

describe('linking an account elsewhere', () => {
  /** Signs in here with a password, and links the account at home. */
  async function linked(email: string, theirs: string): Promise<{ visitor: Visitor; page: Page }> {
    const visitor = createVisitor(postern.issuer)
    await visitor.signIn(await visitor.get('/account'), email)
    const security = await visitor.get('/account/security')
    const away = await visitor.submit(security, '/linked/add', { provider: 'home' })
    return { visitor, page: await throughHome(visitor, away, theirs) }
  }

  test('takes a proof of both, and then each signs in', async () => {
    const { id } = await postern.createAccount('countess@example.com')
    const { page, visitor } = await linked('countess@example.com', 'ada@elsewhere.example')
    expect(page.body).toContain('The account is linked.')
    expect(page.body).toContain('ada@elsewhere.example')
    expect((await mailsTo(postern, 'countess@example.com')).map(({ subject }) => subject)).toContainEqual(
      expect.stringContaining('An account was linked'),
    )
    expect((await tokensOf(await signIn('ada@elsewhere.example')))['sub']).toBe(id)
    const again = await visitor.submit(page, '/linked/remove')
    expect(again.body).toContain('The account is unlinked.')
    expect(await identities()).toEqual([])
  })

  test('does not move an account elsewhere that is linked to another account', async () => {
    const { id } = await postern.createAccount('countess@example.com')
    await postern.createAccount('other@example.com')
    await linked('countess@example.com', 'ada@elsewhere.example')
    const { page } = await linked('other@example.com', 'ada@elsewhere.example')
    expect(page.body).toContain('linked to another account here already')
    expect(await identities()).toMatchObject([{ account_id: id }])
  })

  test('is not undone for the last way in', async () => {
    await postern.createAccount('countess@example.com')
    const { visitor, page } = await linked('countess@example.com', 'ada@elsewhere.example')
    await postern.database.query('delete from password_credentials')
    expect((await visitor.submit(page, '/linked/remove')).body).toContain('It stays linked')
    expect(await identities()).toHaveLength(1)
  })
})
