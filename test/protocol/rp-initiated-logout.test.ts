import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, login } from '../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../support/visitor.ts'
import { answerOf } from '../support/wire.ts'

const email = 'ada@example.com'
const post_logout_redirect_uri = 'https://rp.example/bye'
let postern: TestPostern
let client: ClientMetadata

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email, { name: 'Ada Lovelace' })
  client = await postern.createClient({ post_logout_redirect_uris: [post_logout_redirect_uri] })
})
afterAll(() => postern?.stop())

const question = 'Do you want to sign out?'
const signedOut = 'You are signed out'

const leave = (visitor: Visitor, parameters: Record<string, string> = {}) =>
  visitor.get(`/oauth/logout?${new URLSearchParams(parameters)}`)
const signOut = (visitor: Visitor, page: Page) => visitor.submit(page, '/oauth/logout/confirm', { logout: 'yes' })
const stay = (visitor: Visitor, page: Page) => visitor.submit(page, '/oauth/logout/confirm')

async function isSignedIn(config: oidc.Configuration, visitor: Visitor): Promise<boolean> {
  const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'none' })
  return answerOf(page.url)['error'] !== 'login_required'
}

const isActive = async (config: oidc.Configuration, token: unknown) =>
  (await oidc.tokenIntrospection(config, String(token))).active

describe('OpenID Connect RP-Initiated Logout §2: a sign-out', () => {
  test('happens without a question, and returns with the state, with an id_token_hint of this session', async () => {
    const { config, tokens, visitor } = await login(postern, client, { email })
    const url = oidc.buildEndSessionUrl(config, {
      id_token_hint: String(tokens.id_token),
      post_logout_redirect_uri,
      state: 'xyz',
    })
    expect((await visitor.get(url.href)).url).toBe(`${post_logout_redirect_uri}?state=xyz`)
    expect(await isSignedIn(config, visitor)).toBe(false)
    expect((await visitor.get(url.href)).url).toBe(`${post_logout_redirect_uri}?state=xyz`) // now without a session
  })

  test('asks first with an id_token_hint of this session but no address to return to', async () => {
    const { config, tokens, visitor } = await login(postern, client, { email })
    const page = await leave(visitor, { id_token_hint: String(tokens.id_token) })
    expect([page.status, page.body.includes(question)]).toEqual([200, true])
    expect(await isSignedIn(config, visitor)).toBe(true)
  })

  test('asks first with only a client_id, and returns', async () => {
    const { config, visitor } = await login(postern, client, { email })
    const page = await leave(visitor, { client_id: client.client_id, post_logout_redirect_uri })
    expect((await signOut(visitor, page)).url).toBe(post_logout_redirect_uri)
    expect(await isSignedIn(config, visitor)).toBe(false)
  })

  test('asks first without either, and ends on a page whatever the address to return to', async () => {
    const { config, visitor } = await login(postern, client, { email })
    const page = await leave(visitor, { post_logout_redirect_uri })
    const done = await signOut(visitor, page)
    expect([done.status, new URL(done.url).origin]).toEqual([200, postern.issuer])
    expect(await isSignedIn(config, visitor)).toBe(false)
  })

  test('§2: accepts the client of an expired id_token_hint', async () => {
    const { config, tokens, visitor } = await login(postern, client, { email })
    const hint = String(tokens.id_token)
    const realNow = Date.now
    try {
      const later = realNow() + 7_200_000
      Date.now = () => later
      expect((await leave(visitor, { id_token_hint: hint, post_logout_redirect_uri })).url).toBe(
        post_logout_redirect_uri,
      )
    } finally {
      Date.now = realNow
    }
    expect(await isSignedIn(config, visitor)).toBe(false)
  })

  test('redirects a person who is not signed in all the same', async () => {
    const visitor = createVisitor(postern.issuer)
    const left = await leave(visitor, { client_id: client.client_id, post_logout_redirect_uri, state: 's' })
    expect(left.url).toBe(`${post_logout_redirect_uri}?state=s`)
    expect((await leave(visitor)).body).toContain(signedOut)
  })

  test('keeps the session and still returns if the person stays signed in', async () => {
    const { config, tokens, visitor } = await login(postern, client, { email })
    const page = await leave(visitor, { client_id: client.client_id, post_logout_redirect_uri })
    expect((await stay(visitor, page)).url).toBe(post_logout_redirect_uri)
    expect(await isSignedIn(config, visitor)).toBe(true)
    // The app asked to sign out, so its tokens of this session end.
    expect(await isActive(config, tokens.access_token)).toBe(false)
  })
})

describe('OpenID Connect RP-Initiated Logout §2: only the person can sign out:', () => {
  test('a form from elsewhere, without the secret of this browser, has no effect', async () => {
    const { config, visitor } = await login(postern, client, { email })
    await leave(visitor)
    const forged = await visitor.post('/oauth/logout/confirm', { logout: 'yes', xsrf: 'guessed' })
    expect(forged.body).toContain(question)
    expect(await isSignedIn(config, visitor)).toBe(true)
  })

  test('a form without the question before it has no effect', async () => {
    const { config, visitor } = await login(postern, client, { email })
    expect((await visitor.post('/oauth/logout/confirm', { logout: 'yes' })).body).toContain(question)
    expect(await isSignedIn(config, visitor)).toBe(true)
  })

  test('the earlier cookie is rejected afterwards', async () => {
    const { config, visitor } = await login(postern, client, { email })
    const stolen = createVisitor(postern.issuer)
    for (const [name, cookie] of visitor.cookies) stolen.cookies.set(name, cookie)
    await signOut(visitor, await leave(visitor))
    expect(await isSignedIn(config, stolen)).toBe(false)
  })
})

describe('OpenID Connect Core §11: when a session ends', () => {
  test('its tokens end, and those with offline_access stay valid', async () => {
    const other = await postern.createClient()
    const bound = await login(postern, client, { email, scope: 'openid profile' })
    const { visitor } = bound
    const offline = await login(postern, other, { email, visitor, scope: 'openid offline_access' })
    await signOut(visitor, await leave(visitor))

    expect(await isActive(bound.config, bound.tokens.access_token)).toBe(false)
    expect(await isActive(offline.config, offline.tokens.access_token)).toBe(true)
    const refreshed = await oidc.refreshTokenGrant(offline.config, String(offline.tokens.refresh_token))
    expect(await isActive(offline.config, refreshed.access_token)).toBe(true)
  })

  test('another device stays signed in, with its tokens', async () => {
    const phone = await login(postern, client, { email })
    const laptop = await login(postern, client, { email })
    await signOut(phone.visitor, await leave(phone.visitor))
    expect(await isActive(phone.config, phone.tokens.access_token)).toBe(false)
    expect(await isActive(laptop.config, laptop.tokens.access_token)).toBe(true)
    expect(await isSignedIn(laptop.config, laptop.visitor)).toBe(true)
  })

  test('offline access of one login does not keep the tokens of another login at the same client valid', async () => {
    const offline = await login(postern, client, { email, scope: 'openid offline_access' })
    const bound = await login(postern, client, { email, visitor: offline.visitor })
    await signOut(bound.visitor, await leave(bound.visitor))
    expect(await isActive(bound.config, bound.tokens.access_token)).toBe(false)
    expect(await isActive(offline.config, offline.tokens.refresh_token)).toBe(true)
  })
})
