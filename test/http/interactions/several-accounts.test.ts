import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import type { Account } from '../../../src/stores/people/accounts.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover, type Login } from '../../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration
let ada: Account
let bob: Account

beforeAll(async () => {
  postern = await startPostern()
  ada = await postern.createAccount('ada@example.com', { name: 'Ada' })
  bob = await postern.createAccount('bob@example.com', { name: 'Bob' })
  client = await postern.createClient({ first_party: true })
  config = await discover(postern, client)
})
afterAll(() => postern?.stop())

const begin = (visitor: Visitor, parameters: Record<string, unknown> = {}) =>
  beginLogin(config, { issuer: postern.issuer, visitor, ...parameters })

/** Returns the claims that the app gets at the end of a login. */
async function answerOf({ verifier, nonce, state }: Login, page: Page) {
  expect(page.url).toMatch(/^https:\/\/rp\.example\/cb/)
  const checks = { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state }
  const tokens = await oidc.authorizationCodeGrant(config, new URL(page.url), checks)
  return { sub: tokens.claims()?.sub, idToken: String(tokens.id_token), claims: tokens.claims() }
}

/** Signs in as Ada, and then as Bob at the same browser. */
async function both() {
  const visitor = createVisitor(postern.issuer)
  const first = await begin(visitor)
  const asAda = await answerOf(first, await visitor.signIn(first.page, ada.email))
  const second = await begin(visitor, { prompt: 'select_account' })
  const form = await visitor.submit(second.page, '/continue', { decision: 'switch' })
  const asBob = await answerOf(second, await visitor.signIn(form, bob.email))
  return { visitor, asAda, asBob }
}

const choose = (visitor: Visitor, page: Page, { id }: Account) => visitor.submit(page, '/continue', { account: id })

const liveSessions = async ({ id }: Account) =>
  (await postern.database.query(`select uid from sessions where account_id = '${id}' and destroyed_at is null`)).length

describe('several accounts at one browser', () => {
  test('stay signed in, and a person chooses among them', async () => {
    const { visitor, asAda, asBob } = await both()
    expect([asAda.sub, asBob.sub]).toEqual([ada.id, bob.id])
    const current = await begin(visitor)
    expect((await answerOf(current, current.page)).sub).toBe(bob.id)

    const again = await begin(visitor, { prompt: 'select_account' })
    expect(again.page.body).toContain('Choose an account to continue to')
    const before = visitor.cookies.get('postern_session /')?.value
    const answer = await answerOf(again, await choose(visitor, again.page, ada))
    expect(answer.sub).toBe(ada.id)
    expect(visitor.cookies.get('postern_session /')?.value).not.toBe(before)
    expect(answer.claims?.['sid']).toBe(asAda.claims?.['sid']) // the session is the one from before

    const silent = await begin(visitor, { prompt: 'none' })
    expect((await answerOf(silent, silent.page)).sub).toBe(ada.id)
    const back = await begin(visitor, { prompt: 'select_account' })
    expect((await answerOf(back, await choose(visitor, back.page, bob))).sub).toBe(bob.id)
  })

  test('are kept in a cookie that shows nothing, and a changed one is ignored', async () => {
    const { visitor } = await both()
    const cookie = visitor.cookies.get('postern_accounts /')
    expect(cookie?.value).toMatch(/^v1\./)
    expect(cookie?.value).not.toContain(ada.id)
    visitor.cookies.set('postern_accounts /', { value: `${cookie?.value.slice(0, -4)}AAAA`, path: '/' })
    const { page } = await begin(visitor, { prompt: 'select_account' })
    expect(page.body).not.toContain(ada.email)
    const refused = await choose(visitor, page, ada)
    expect(refused.body).toContain('name="password"')
  })

  test('leave one after the other: signing out ends the current one, and the next sign-in offers the others', async () => {
    const { visitor } = await both()
    const before = [await liveSessions(ada), await liveSessions(bob)]
    await visitor.submit(await visitor.get('/oauth/logout'), '/oauth/logout/confirm', { logout: 'yes' })
    expect([await liveSessions(ada), await liveSessions(bob)]).toEqual([before[0], Number(before[1]) - 1])
    const next = await begin(visitor)
    expect(next.page.body).toContain(ada.email)
    expect(next.page.body).not.toContain(bob.email)
    expect(next.page.body).not.toContain('name="password"')
    expect((await answerOf(next, await choose(visitor, next.page, ada))).sub).toBe(ada.id)
  })

  test('are shown as signed out if their session has ended elsewhere, and then need the password', async () => {
    const { visitor } = await both()
    await postern.database.query(`update sessions set destroyed_at = now() where account_id = '${ada.id}'`)
    const again = await begin(visitor, { prompt: 'select_account' })
    expect(again.page.body).toContain('Signed out')
    const form = await choose(visitor, again.page, ada)
    expect(form.body).toMatch(/name="email"[^>]* value="ada@example.com"|value="ada@example.com"[^>]*name="email"/)
    expect((await answerOf(again, await visitor.signIn(form, ada.email))).sub).toBe(ada.id)
    expect(await liveSessions(bob)).toBeGreaterThan(0)
  })

  test('satisfy max_age and id_token_hint each by their own sign-in', async () => {
    const { visitor, asBob } = await both()
    await postern.database.query(
      `update sessions set payload = (payload - 'proofs') || '{"loginTs": 1000000000}' where account_id = '${ada.id}'`,
    )
    const aged = await begin(visitor, { prompt: 'select_account', max_age: 600 })
    const confirm = await choose(visitor, aged.page, ada)
    expect(confirm.body).toContain('Confirm it’s you')
    expect((await answerOf(aged, await visitor.signIn(confirm, ada.email))).sub).toBe(ada.id)

    const hinted = await begin(visitor, { prompt: 'select_account', id_token_hint: asBob.idToken })
    const mismatch = await visitor.submit(hinted.page, '/continue', { decision: 'continue' })
    expect(mismatch.body).toContain('asks for a different account')
    expect((await answerOf(hinted, await visitor.signIn(mismatch, bob.email))).sub).toBe(bob.id)
  })

  test('do not follow to another browser: an account that does not wait here cannot be chosen', async () => {
    await both()
    const visitor = createVisitor(postern.issuer)
    const first = await begin(visitor)
    await visitor.signIn(first.page, bob.email)
    const { page } = await begin(visitor, { prompt: 'select_account' })
    const refused = await choose(visitor, page, ada)
    expect(refused.body).toContain('name="password"')
    expect(refused.body).not.toContain(ada.email)
  })

  test('are offered after signing out, each by one press', async () => {
    const { visitor } = await both()
    const done = await visitor.submit(await visitor.get('/oauth/logout'), '/oauth/logout/confirm', { logout: 'yes' })
    expect(done.body).toContain('Still signed in at this browser')
    expect(done.body).toContain(ada.email)
    expect(done.body).not.toContain(bob.email)
    const page = await visitor.submit(done, '/account/choose', { account: ada.id })
    expect(new URL(page.url).pathname).toBe('/account')
    expect(page.body).toContain('Hello, <bdi>Ada</bdi>')
  })

  test('are chosen by no form of another site', async () => {
    const { visitor } = await both()
    const before = visitor.cookies.get('postern_session /')?.value
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
      { origin: postern.issuer, 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example', 'sec-fetch-site': '' }, // as from a browser without that header
      { origin: 'null', 'sec-fetch-site': '' }, // a frame in a sandbox
    ]
    for (const headers of foreign) {
      expect((await visitor.post('/account/choose', { account: ada.id }, headers)).status).toBe(403)
      expect(visitor.cookies.get('postern_session /')?.value).toBe(before)
    }
    await visitor.post('/account/choose', { account: 'nobody' })
    expect(visitor.cookies.get('postern_session /')?.value).toBe(before)
  })

  test('are chosen by a login_hint that names one that waits, by address or sub, and by no other', async () => {
    for (const hint of [' ADA@example.com', ada.id, 'nobody@example.com']) {
      const { visitor } = await both()
      await visitor.submit(await visitor.get('/oauth/logout'), '/oauth/logout/confirm', { logout: 'yes' })
      const next = await begin(visitor, { login_hint: hint })
      if (hint.startsWith('nobody')) expect(next.page.body).toContain('Choose an account')
      else expect((await answerOf(next, next.page)).sub).toBe(ada.id)
    }
  })

  test('a sign-out with the ID token of a session that waits is about that session', async () => {
    const { visitor, asAda } = await both()
    const before = [await liveSessions(ada), await liveSessions(bob)]
    const question = await visitor.get(`/oauth/logout?${new URLSearchParams({ id_token_hint: asAda.idToken })}`)
    expect(question.body).toContain(ada.email)
    expect(question.body).not.toContain(bob.email)
    const done = await visitor.submit(question, '/oauth/logout/confirm', { logout: 'yes' })
    expect([await liveSessions(ada), await liveSessions(bob)]).toEqual([Number(before[0]) - 1, before[1]])
    const page = await visitor.submit(done, '/account/choose', { account: bob.id })
    expect(page.body).toContain('Hello, <bdi>Bob</bdi>')
  })
})
