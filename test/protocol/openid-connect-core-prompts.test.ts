import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, completeLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor, tickboxes, type Visitor } from '../support/visitor.ts'
import { answerOf } from '../support/wire.ts'

const email = 'ada@example.com'
let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email, { name: 'Ada Lovelace' })
  await postern.createAccount('grace@example.com')
  client = await postern.createClient()
  config = await discover(postern, client)
})
afterAll(() => postern?.stop())

/** Returns the answer to an authorization request in this browser, which must come without a page. */
async function ask(visitor: Visitor, parameters: Record<string, unknown>): Promise<Record<string, string>> {
  const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, ...parameters })
  expect(page.url).toMatch(/^https:\/\/rp\.example\/cb\?/)
  return answerOf(page.url)
}

async function moveSignInBack(seconds: number): Promise<void> {
  await postern.database.query(
    `update sessions set payload = (payload - 'proofs') || jsonb_build_object('loginTs', (payload->>'loginTs')::bigint - $1::int)
     where payload ? 'loginTs'`,
    [seconds],
  )
}

describe('OpenID Connect Core §3.1.2.6: prompt=none answers on the redirect_uri, without a page, and', () => {
  const none = { prompt: 'none' }

  test('returns a code when the person is signed in and has consented', async () => {
    const { visitor } = await login(postern, client, { email })
    expect(await ask(visitor, none)).toMatchObject({ code: expect.any(String), iss: postern.issuer })
  })

  test('returns login_required without a session', async () => {
    expect(await ask(createVisitor(postern.issuer), none)).toMatchObject({
      error: 'login_required',
      state: expect.any(String),
      iss: postern.issuer,
    })
  })

  test('returns login_required for a forged session', async () => {
    const { visitor } = await login(postern, client, { email })
    for (const [key, cookie] of visitor.cookies) {
      if (key.startsWith('postern_session ')) visitor.cookies.set(key, { ...cookie, value: `${cookie.value}x` })
    }
    expect(await ask(visitor, none)).toMatchObject({ error: 'login_required' })
  })

  test('returns consent_required for a client that the person never allowed', async () => {
    const { visitor } = await login(postern, client, { email })
    const stranger = await postern.createClient()
    const begun = await beginLogin(await discover(postern, stranger), { issuer: postern.issuer, visitor, ...none })
    expect(answerOf(begun.page.url)).toMatchObject({ error: 'consent_required' })
  })

  test('returns consent_required for a scope that the person was never asked for', async () => {
    const { visitor } = await login(postern, client, { email })
    expect(await ask(visitor, { ...none, scope: 'openid phone' })).toMatchObject({ error: 'consent_required' })
  })

  test('returns a code without the denied scope, and does not ask again', async () => {
    const own = await postern.createClient()
    const asking = { email, scope: 'openid profile email', scopes: ['profile'] }
    const { visitor } = await login(postern, own, asking)
    const again = await login(postern, own, { ...asking, ...none, visitor })
    expect(again.tokens.scope).toBe('openid profile')
  })

  test('returns login_required when the sign-in is older than max_age', async () => {
    const { visitor } = await login(postern, client, { email })
    await moveSignInBack(120)
    expect(await ask(visitor, { ...none, max_age: '60' })).toMatchObject({ error: 'login_required' })
    expect(await ask(visitor, { ...none, max_age: '600' })).toMatchObject({ code: expect.any(String) })
    expect(await ask(visitor, { ...none, max_age: '0' })).toMatchObject({ error: 'login_required' })
  })

  test('returns login_required when the id_token_hint is for another person, and a code when it is for this one', async () => {
    const { visitor, tokens } = await login(postern, client, { email })
    const other = await login(postern, client, { email: 'grace@example.com' })
    const hint = (token: unknown) => ({ ...none, id_token_hint: String(token) })
    expect(await ask(visitor, hint(other.tokens.id_token))).toMatchObject({ error: 'login_required' })
    expect(await ask(visitor, hint(tokens.id_token))).toMatchObject({ code: expect.any(String) })
  })

  test('returns invalid_request for an id_token_hint that was tampered with or is not a token', async () => {
    const { visitor, tokens } = await login(postern, client, { email })
    const [head, , signature] = String(tokens.id_token).split('.')
    const forged = Buffer.from(JSON.stringify({ ...tokens.claims(), sub: 'x' })).toString('base64url')
    for (const id_token_hint of [`${head}.${forged}.${signature}`, 'not-a-token']) {
      expect(await ask(visitor, { ...none, id_token_hint })).toMatchObject({ error: 'invalid_request' })
    }
  })

  test('returns login_required when another person than the requested subject is signed in (§5.5.1)', async () => {
    const { visitor } = await login(postern, client, { email })
    const claims = JSON.stringify({ id_token: { sub: { value: 'somebody-else' } } })
    expect(await ask(visitor, { ...none, claims })).toMatchObject({ error: 'login_required' })
  })

  test('returns invalid_request together with another prompt, or for an unknown prompt', async () => {
    const { visitor } = await login(postern, client, { email })
    for (const prompt of ['none login', 'none consent', 'sudo']) {
      expect(await ask(visitor, { prompt })).toMatchObject({ error: 'invalid_request' })
    }
  })
})

describe('OpenID Connect Core §3.1.2.1: with a person present', () => {
  test('prompt=login asks for the password again, and auth_time is the time of the new sign-in', async () => {
    const { visitor } = await login(postern, client, { email })
    await moveSignInBack(1_000)
    const begun = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'login', max_age: '10000' })
    expect(begun.page.body).toContain('name="password"')
    const tokens = await oidc.authorizationCodeGrant(config, await completeLogin(begun, email), {
      pkceCodeVerifier: begun.verifier,
      expectedNonce: begun.nonce,
      expectedState: begun.state,
    })
    expect(Number(tokens.claims()?.auth_time)).toBeGreaterThan(Date.now() / 1000 - 500)
  })

  test('prompt=login cannot be satisfied by skipping the page', async () => {
    const { visitor } = await login(postern, client, { email })
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'login' })
    const resumed = await visitor.get(page.url.replace('/interaction/', '/oauth/authorize/'))
    expect(resumed.url).not.toContain('rp.example')
  })

  test('max_age asks again only when the sign-in is older', async () => {
    const { visitor } = await login(postern, client, { email })
    await moveSignInBack(120)
    const old = await beginLogin(config, { issuer: postern.issuer, visitor, max_age: '60' })
    expect(old.page.body).toContain('name="password"')
    expect(await ask(visitor, { max_age: '600' })).toMatchObject({ code: expect.any(String) })
  })

  test.each(['-1', 'soon', '1.5'])('max_age=%s is rejected', async (max_age) => {
    const { page } = await beginLogin(config, { issuer: postern.issuer, max_age })
    expect(answerOf(page.url)).toMatchObject({ error: 'invalid_request' })
  })

  test('an id_token_hint for another person asks to sign in, and rejects the wrong person afterwards too', async () => {
    const { visitor } = await login(postern, client, { email })
    const other = await login(postern, client, { email: 'grace@example.com' })
    const hint = { id_token_hint: String(other.tokens.id_token) }
    const begun = await beginLogin(config, { issuer: postern.issuer, visitor, ...hint })
    expect(begun.page.body).toContain('name="password"')
    const wrong = await visitor.signIn(begun.page, email)
    expect(wrong.url).not.toContain('rp.example')
    const right = await visitor.signIn(wrong, 'grace@example.com')
    expect(answerOf(right.url)).toMatchObject({ code: expect.any(String) })
  })

  test('prompt=consent asks again even if everything was allowed, and can reverse a denial', async () => {
    const own = await postern.createClient()
    const asking = { email, scope: 'openid email', scopes: [] as string[] }
    const { visitor, tokens } = await login(postern, own, asking)
    expect(tokens.scope).toBe('openid')
    const again = await login(postern, own, { ...asking, scopes: ['email'], visitor, prompt: 'consent' })
    expect(again.tokens.scope).toBe('openid email')
  })

  test('prompt=select_account offers the current account', async () => {
    const { visitor } = await login(postern, client, { email })
    const begun = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'select_account' })
    expect(begun.page.body).toContain('Ada Lovelace')
    const { url } = await visitor.submit(begun.page, '/continue', { decision: 'continue' })
    expect(answerOf(url)).toMatchObject({ code: expect.any(String) })
  })

  test('§11: offline_access without prompt=consent needs the person’s tick, which is remembered', async () => {
    const own = await postern.createClient()
    const asked = { email, scope: 'openid offline_access', prompt: undefined }
    const { tokens, visitor } = await login(postern, own, asked)
    expect(tokens).toMatchObject({ scope: 'openid offline_access', refresh_token: expect.any(String) })
    const again = await login(postern, own, { ...asked, visitor, prompt: 'none' })
    expect(again.tokens).toMatchObject({ scope: 'openid offline_access', refresh_token: expect.any(String) })
  })

  test('§11: offline_access that was not ticked is not granted, and not requested again', async () => {
    const own = await postern.createClient()
    const asked = { email, scope: 'openid offline_access', prompt: undefined }
    const { tokens, visitor } = await login(postern, own, { ...asked, scopes: ['openid'] })
    expect([tokens.scope, tokens.refresh_token]).toEqual(['openid', undefined])
    const again = await login(postern, own, { ...asked, visitor, prompt: 'none' })
    expect([again.tokens.scope, again.tokens.refresh_token]).toEqual(['openid', undefined])
  })

  test('§11: offline_access is requested from people who decided on the other scopes before', async () => {
    const own = await postern.createClient()
    const { visitor } = await login(postern, own, { email, scope: 'openid email' })
    const itself = await discover(postern, own)
    const asked = { issuer: postern.issuer, visitor, scope: 'openid email offline_access' }
    const silent = await beginLogin(itself, { ...asked, prompt: 'none' })
    expect(answerOf(silent.page.url)).toMatchObject({ error: 'consent_required' })
    const { page } = await beginLogin(itself, asked)
    expect(tickboxes(page.body).map(({ value }) => value)).toEqual(['offline_access'])
  })
})
