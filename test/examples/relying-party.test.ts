import { randomUUID } from 'node:crypto'
import * as jose from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { privateJwk } from '../support/keys.ts'
import { freePort, startPostern, type TestPostern } from '../support/postern.ts'
import type { Page } from '../support/visitor.ts'
import { type Browser, createBrowser } from './browser.ts'
import { run, stopAll } from './example.ts'

let postern: TestPostern
let client: ClientMetadata
let baseUrl: string
let apiUrl: string

beforeAll(async () => {
  postern = await startPostern()
  const [port, apiPort] = [await freePort(), await freePort()]
  baseUrl = `http://localhost:${port}`
  apiUrl = `http://localhost:${apiPort}/api`
  client = await postern.createClient({
    redirect_uris: [`${baseUrl}/callback`],
    post_logout_redirect_uris: [`${baseUrl}/signed-out`],
    backchannel_logout_uri: `${baseUrl}/backchannel-logout`,
    backchannel_logout_session_required: true,
  })
  const api = await postern.createClient({
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
  })
  await postern.createResource({ identifier: apiUrl, scopes: { 'notes:read': 'Read' }, clientId: api.client_id })
  const apiProcess = run('examples/resource-server/main.ts', {
    ...credentials(api),
    RESOURCE: apiUrl,
    PORT: String(apiPort),
  })
  const app = run('examples/relying-party/main.ts', { ...credentials(client), PORT: String(port), API_URL: apiUrl })
  await Promise.all([apiProcess.prints(/accepts tokens/), app.prints(/Open http/)])
})
afterAll(async () => {
  await stopAll()
  await postern?.stop()
})

const credentials = ({ client_id, client_secret }: ClientMetadata) => ({
  ISSUER: postern.issuer,
  CLIENT_ID: client_id,
  CLIENT_SECRET: String(client_secret),
})

const sessionCookie = (browser: Browser) => browser.cookies.get('relying_party /')?.value

let people = 0
async function signIn(consent?: Record<string, string[]>): Promise<{ browser: Browser; page: Page; email: string }> {
  const email = `ada${++people}@example.com`
  await postern.createAccount(email, { name: 'Ada <b>Lovelace</b>' })
  const browser = createBrowser(postern.issuer, baseUrl)
  const page = await browser.signIn(await browser.get(`${baseUrl}/login`), email, consent ? { consent } : {})
  return { browser, page, email }
}

const rowsOf = (model: string, email: string) =>
  postern.database.query(
    `select artifacts.* from artifacts join accounts on accounts.id = account_id where model = $1 and email = $2`,
    [model, email],
  )

describe('signing in to the example app', () => {
  test('is requested with PKCE, state and nonce, and for the API by its resource indicator (RFC 8707 §2)', async () => {
    const response = await fetch(`${baseUrl}/login`, { redirect: 'manual' })
    const parameters = new URL(String(response.headers.get('location'))).searchParams
    expect(Object.fromEntries(parameters)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      resource: apiUrl,
    })
    expect(response.headers.getSetCookie().join()).toMatch(/relying_party=[\w-]{43};.*samesite=lax; httponly/i)
  })

  test("shows the person's name and the claims that arrived, as text and not as markup", async () => {
    const { page, email } = await signIn()
    expect(page.url).toBe(`${baseUrl}/`)
    expect(page.body).toContain('Hello, Ada &lt;b&gt;Lovelace&lt;/b&gt;.')
    expect(page.body).toContain(`<dt>email</dt><dd>${email}</dd>`)
    expect(page.body).not.toContain('<b>')
  })

  test('shows nothing that was not shared', async () => {
    const { page, email } = await signIn({ scope: ['openid', 'profile', 'offline_access'] })
    expect(page.body).toContain('Hello, Ada')
    expect(page.body).not.toContain(email)
  })

  test('gives the session a new identifier, so that one planted before is not signed in', async () => {
    const email = 'planted@example.com'
    await postern.createAccount(email)
    const browser = createBrowser(postern.issuer, baseUrl)
    const page = await browser.get(`${baseUrl}/login`)
    const before = String(sessionCookie(browser))
    await browser.signIn(page, email)
    expect(sessionCookie(browser)).not.toBe(before)
    const planted = await fetch(baseUrl, { headers: { cookie: `relying_party=${before}` } })
    expect(await planted.text()).toContain('This app does not know you yet')
  })

  test('works in two tabs that were opened one after the other', async () => {
    const email = 'tabs@example.com'
    await postern.createAccount(email)
    const browser = createBrowser(postern.issuer, baseUrl)
    const first = await browser.get(`${baseUrl}/login`)
    const second = await browser.get(`${baseUrl}/login`)
    expect((await browser.signIn(second, email)).body).toContain('Hello, tabs@example.com')
    expect((await browser.signIn(first, email)).body).toContain('Hello, tabs@example.com')
  })

  test('is refused when it began in another browser (RFC 6749 §10.12)', async () => {
    const email = 'elsewhere@example.com'
    await postern.createAccount(email)
    const attacker = createBrowser(postern.issuer, baseUrl)
    const page = await attacker.get(`${baseUrl}/login`)
    attacker.cookies.delete('relying_party /')
    const result = await attacker.signIn(page, email)
    expect(result.status).toBe(400)
    expect(result.body).toContain('began in another browser')
  })

  test('is refused when the code is wrong or the issuer is a different one (RFC 9207 §2.4)', async () => {
    const browser = createBrowser(postern.issuer, baseUrl)
    const answer = async (parameters: Record<string, string>) => {
      const begun = await fetch(`${baseUrl}/login`, { redirect: 'manual' })
      const state = String(new URL(String(begun.headers.get('location'))).searchParams.get('state'))
      const cookie = String(begun.headers.getSetCookie()[0]).split(';')[0] ?? ''
      browser.cookies.set('relying_party /', { value: cookie.split('=')[1] ?? '', path: '/' })
      return browser.get(`${baseUrl}/callback?${new URLSearchParams({ state, ...parameters })}`)
    }
    expect((await answer({ code: 'wrong', iss: postern.issuer })).status).toBe(400)
    expect((await answer({ code: 'wrong', iss: 'https://other.example' })).status).toBe(400)
    expect((await answer({ code: 'wrong' })).status).toBe(400)
    expect((await browser.get(baseUrl)).body).toContain('This app does not know you yet')
  })

  test('leads back to a friendly page when the person cancels', async () => {
    const browser = createBrowser(postern.issuer, baseUrl)
    const page = await browser.submit(await browser.get(`${baseUrl}/login`), '/abort')
    expect(page.url).toContain('error=access_denied')
    expect(page.body).toContain('You are not signed in')
  })
})

describe('while a person is signed in', () => {
  test("Refresh uses each refresh token once, and updates the person's name", async () => {
    const { browser, page, email } = await signIn()
    await postern.database.query(
      `update accounts set profile = jsonb_set(profile, '{name}', '"Countess"') where email = $1`,
      [email],
    )
    const refreshed = await browser.submit(page, '/refresh')
    expect(refreshed.body).toContain('You have new tokens')
    expect(refreshed.body).toContain('Hello, Countess.')
    await browser.submit(refreshed, '/refresh')
    const tokens = await rowsOf('RefreshToken', email)
    expect(tokens.filter(({ consumed_at }) => consumed_at !== null)).toHaveLength(2)
    expect(tokens.filter(({ consumed_at }) => consumed_at === null)).toHaveLength(1)
  })

  test('pressing a button five times at once does not lose the login (RFC 9700 §4.14.2)', async () => {
    const { browser, page, email } = await signIn()
    await Promise.all(Array.from({ length: 5 }, () => browser.submit(page, '/refresh')))
    expect((await browser.get(baseUrl)).body).toContain('Hello, Ada')
    expect(await rowsOf('RefreshToken', email)).toHaveLength(6)
  })

  test('Call the API sends a token that is for the API and has its scope', async () => {
    const { browser, page } = await signIn()
    const called = await browser.submit(page, '/call-api')
    expect(called.body).toContain('The API answered 200')
    expect(called.body).toContain('&quot;scope&quot;: &quot;notes:read&quot;')
    expect(called.body).toContain(client.client_id)
  })

  test('the API refuses a person who did not allow its scope (RFC 6750 §3.1)', async () => {
    const { browser, page } = await signIn({ scope: ['openid', 'profile', 'offline_access'], resource_scope: [] })
    const called = await browser.submit(page, '/call-api')
    expect(called.body).toContain('The API answered 403')
    expect(called.body).toContain('insufficient_scope')
  })

  test('the buttons that need access while away are absent without it, and cannot be bypassed', async () => {
    const { browser, page } = await signIn({ scope: ['openid', 'profile'] })
    expect(page.body).toContain('You did not allow access while you are away')
    expect(page.body).not.toContain('/call-api')
    expect((await browser.post(`${baseUrl}/call-api`, {})).status).toBe(400)
    expect((await browser.get(baseUrl)).body).toContain('Hello, Ada')
  })

  test('a removed grant ends the session', async () => {
    const { browser, page, email } = await signIn()
    await postern.database.query(
      `delete from grants using accounts where accounts.id = grants.account_id and email = $1`,
      [email],
    )
    expect((await browser.submit(page, '/refresh')).status).toBe(400)
    expect((await browser.get(baseUrl)).body).toContain('This app does not know you yet')
  })

  test('forms sent from another site or port are refused', async () => {
    const { browser } = await signIn()
    for (const path of ['/logout', '/refresh', '/call-api']) {
      for (const origin of ['https://evil.example', postern.issuer, 'null']) {
        expect((await browser.post(baseUrl + path, {}, { origin })).status).toBe(403)
      }
    }
    expect((await browser.get(baseUrl)).body).toContain('Hello, Ada')
  })
})

describe('signing out (OpenID Connect RP-Initiated Logout 1.0)', () => {
  test('ends the session at the app and the provider, revokes the refresh token, and comes back', async () => {
    const { browser, page, email } = await signIn()
    const cookie = sessionCookie(browser)
    const back = await browser.submit(page, '/logout')
    expect(sessionCookie(browser)).toBeUndefined()
    expect(back.url).toBe(`${baseUrl}/signed-out`)
    expect(back.body).toContain('You are signed out')

    expect(await rowsOf('RefreshToken', email)).toEqual([])
    const old = await fetch(baseUrl, { headers: { cookie: `relying_party=${cookie}` } })
    expect(await old.text()).toContain('This app does not know you yet')
    expect((await browser.get(`${baseUrl}/login`)).body).toContain('name="password"')
  })
})

describe('OpenID Connect Back-Channel Logout 1.0 §2', () => {
  test('signing out at the provider ends the session of the app, and of nobody else', async () => {
    const [one, other] = [await signIn(), await signIn()]
    const asked = await one.browser.get(`${postern.issuer}/oauth/logout`)
    await one.browser.submit(asked, '/oauth/logout/confirm', { logout: 'yes' })
    expect((await one.browser.get(baseUrl)).body).toContain('This app does not know you yet')
    expect((await other.browser.get(baseUrl)).body).toContain('Hello, Ada')
  })

  describe('a logout token', () => {
    let signed: { browser: Browser; claims: Record<string, unknown> }
    const event = { 'http://schemas.openid.net/event/backchannel-logout': {} }

    beforeAll(async () => {
      const { browser, email } = await signIn()
      const [account] = await postern.database.query('select id from accounts where email = $1', [email])
      signed = { browser, claims: { sub: account?.['id'], events: event } }
    })

    async function send(claims: Record<string, unknown>, header: Record<string, unknown> = {}, signer?: jose.JWK) {
      const key = signer ?? privateJwk(postern.server.postern.keyring, 'RS256')
      const now = Math.floor(Date.now() / 1000)
      const everything = { iss: postern.issuer, aud: client.client_id, jti: randomUUID(), iat: now, exp: now + 120 }
      const present = Object.entries({ ...everything, ...signed.claims, ...claims })
      const token = await new jose.SignJWT(
        Object.fromEntries(present.filter(([, value]) => value !== undefined)) as jose.JWTPayload,
      )
        .setProtectedHeader({ alg: 'RS256', typ: 'logout+jwt', kid: String(key.kid), ...header })
        .sign(await jose.importJWK(key, 'RS256'))
      return { token, answer: await deliver({ logout_token: token }) }
    }
    const deliver = async (form: Record<string, string>) => {
      const response = await fetch(`${baseUrl}/backchannel-logout`, { method: 'POST', body: new URLSearchParams(form) })
      return response.status
    }
    const isSignedIn = async () => (await signed.browser.get(baseUrl)).body.includes('Hello, Ada')

    test.each([
      ['from another issuer', { iss: 'https://other.example' }],
      ['for another client', { aud: 'another' }],
      ['that has expired', { exp: 1_000_000_000 }],
      ['without iat', { iat: undefined }],
      ['without exp', { exp: undefined }],
      ['without jti', { jti: undefined }],
      ['without events', { events: undefined }],
      ['with another event', { events: { 'https://schemas.openid.net/secevent/other': {} } }],
      ['with a nonce', { nonce: 'n' }],
      ['that names nobody', { sub: undefined }],
    ])('%s is rejected (§2.6)', async (_name, claims) => {
      expect((await send(claims)).answer).toBe(400)
      expect(await isSignedIn()).toBe(true)
    })

    test('with the type of an ID token is rejected (§2.4)', async () => {
      expect((await send({}, { typ: 'JWT' })).answer).toBe(400)
      expect((await send({}, { typ: undefined })).answer).toBe(400)
      expect(await isSignedIn()).toBe(true)
    })

    test('signed with an unknown key, or unsigned, is rejected', async () => {
      const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true })
      const stranger = { ...(await jose.exportJWK(privateKey)), kid: 'stranger' }
      const known = privateJwk(postern.server.postern.keyring, 'RS256').kid
      expect((await send({}, {}, stranger)).answer).toBe(400)
      expect((await send({}, { kid: known }, stranger)).answer).toBe(400)
      const unsigned = new jose.UnsecuredJWT({ ...signed.claims, jti: randomUUID() })
        .setIssuer(postern.issuer)
        .setAudience(client.client_id)
        .setIssuedAt()
        .setExpirationTime('2m')
        .encode()
      expect(await deliver({ logout_token: unsigned })).toBe(400)
      expect(await deliver({ logout_token: 'nonsense' })).toBe(400)
      expect(await deliver({})).toBe(400)
      expect(await isSignedIn()).toBe(true)
    })

    test('with sub and without sid ends all sessions of that person, and works once', async () => {
      const { token, answer } = await send({})
      expect(answer).toBe(200)
      expect(await isSignedIn()).toBe(false)
      expect(await deliver({ logout_token: token })).toBe(400)
    })
  })
})

describe('starting the example app', () => {
  test('fails without a client, and names the settings', async () => {
    const app = run('examples/relying-party/main.ts')
    expect(await app.ended).toMatchObject({ code: 1 })
    expect(app.output()).toContain('Set CLIENT_ID and CLIENT_SECRET.')
  })

  test('fails without a provider, and reports its absence', async () => {
    const issuer = `http://localhost:${await freePort()}`
    const app = run('examples/relying-party/main.ts', { ...credentials(client), ISSUER: issuer })
    expect(await app.ended).toMatchObject({ code: 1 })
    expect(app.output()).toContain(`No provider answers at ${issuer}.`)
  })

  test('fails on a port in use, and names the setting', async () => {
    const { port } = new URL(baseUrl)
    const app = run('examples/relying-party/main.ts', { ...credentials(client), PORT: port })
    expect(await app.ended).toMatchObject({ code: 1 })
    expect(app.output()).toContain(`Port ${port} is in use. Set PORT to another one.`)
  })
})
