import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oidc from 'openid-client'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import * as relyingParty from '../../examples/relying-party/app.ts'
import * as resourceServer from '../../examples/resource-server/app.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { launchChromium, queryOf, watchForComplaints } from '../support/chromium.ts'
import { freePort, password, startPostern, type TestPostern } from '../support/postern.ts'
import { discover } from '../support/relying-party.ts'

let postern: TestPostern
let browser: Browser
let context: BrowserContext
let page: Page
let complaints: string[]
let appUrl: string
let client: ClientMetadata
const running: { stop(): void }[] = []

const ada = 'ada@example.com'
const grace = 'grace@example.com'

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(ada, { name: 'Ada Lovelace' })
  await postern.createAccount(grace, { name: 'Grace Hopper' })
  const [port, apiPort] = [await freePort(), await freePort()]
  appUrl = `http://127.0.0.1:${port}` // a different site from the provider's, which is localhost
  const apiUrl = `http://127.0.0.1:${apiPort}/api`
  client = await postern.createClient({
    client_name: 'Field Notes',
    client_uri: appUrl,
    redirect_uris: [`${appUrl}/callback`],
    post_logout_redirect_uris: [`${appUrl}/signed-out`],
  })
  const api = await postern.createClient({ redirect_uris: [], response_types: [], grant_types: ['client_credentials'] })
  await postern.createResource({
    identifier: apiUrl,
    scopes: { 'notes:read': 'Read your field notes' },
    clientId: api.client_id,
  })
  const { issuer } = postern
  const credentialsOf = ({ client_id, client_secret }: ClientMetadata) => ({
    issuer,
    clientId: client_id,
    clientSecret: String(client_secret),
    host: '127.0.0.1',
  })
  running.push(await resourceServer.start({ ...credentialsOf(api), resource: apiUrl, port: apiPort }))
  running.push(await relyingParty.start({ ...credentialsOf(client), baseUrl: appUrl, apiUrl, port }))
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  for (const { stop } of running) stop()
  await postern?.stop()
})
beforeEach(() => open())
afterEach(async () => {
  expect(complaints).toEqual([])
  await context.close()
})

async function open(options: { javaScriptEnabled?: boolean } = {}): Promise<void> {
  await context?.close()
  context = await browser.newContext(options)
  complaints = await watchForComplaints(context)
  page = await context.newPage()
}

const press = (name: string | RegExp, on = page) => on.getByRole('button', { name }).click()
const heading = (on = page) => on.getByRole('heading', { level: 1 }).innerText()

async function signIn(email: string, on = page): Promise<void> {
  await on.getByLabel('Email').fill(email)
  await on.getByLabel('Password').fill(password)
  await press(/^(Sign in|Confirm)$/, on)
}

/** Makes an authorization request of an app that does not run, so that a test can inspect what returns to it. */
async function requestOf(metadata: Record<string, unknown>, parameters: Record<string, string> = {}) {
  const registered = await postern.createClient(metadata)
  const config = await discover(postern, registered)
  const verifier = oidc.randomPKCECodeVerifier()
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: String((registered['redirect_uris'] as string[])[0]),
    scope: 'openid',
    state: 'the state',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...parameters,
  })
  return { config, verifier, url: url.href }
}

describe.each([
  ['with script', true],
  ['without script', false],
])('a person in a browser %s', (_what, javaScriptEnabled) => {
  test('signs in to an app, shares all but the email address, lets it call an API, and signs out', async () => {
    await postern.database.query('delete from grants')
    await open({ javaScriptEnabled })

    await page.goto(appUrl)
    await page.getByRole('link', { name: 'Sign in' }).click()
    expect(await heading()).toContain('Field Notes')
    await signIn(ada)
    expect(await heading()).toContain('asks for access to your account')
    await page.getByLabel('See your email address').uncheck()
    await press('Allow')

    await page.waitForURL(`${appUrl}/`)
    expect(await heading()).toBe('Hello, Ada Lovelace.')
    expect(await page.locator('dl').innerText()).not.toContain('email')

    await press('Refresh')
    expect(await page.getByRole('status').innerText()).toContain('You have new tokens')
    expect(await page.content()).not.toContain(ada)

    await press('Call the API')
    expect(await page.getByRole('status').innerText()).toContain('The API answered 200')
    expect(await page.getByRole('status').innerText()).toContain('"scope": "notes:read"')

    await press('Sign out')
    await page.waitForURL(`${appUrl}/signed-out`)

    await page.goto(`${appUrl}/login`)
    expect(await page.getByLabel('Password').isVisible()).toBe(true) // the provider asks again
  })
})

describe('a login that does not go straight ahead', () => {
  test('leads back to the app when the person goes back after consent, through a page that says it is done', async () => {
    await page.goto(`${appUrl}/login`)
    await signIn(ada)
    await press('Allow')
    await page.waitForURL(`${appUrl}/`)
    await page.goBack()
    expect(await heading()).toBe('This step is already done')
    await page.getByRole('link', { name: 'Field Notes' }).click()
    await page.waitForURL(`${appUrl}/`)
    expect(await heading()).toBe('Hello, Ada Lovelace.')
  })

  test('completes in each of two tabs, and the second tab finds the person signed in', async () => {
    const other = await context.newPage()
    await page.goto(`${appUrl}/login`)
    await other.goto(`${appUrl}/login`)
    await signIn(ada)
    await signIn(ada, other)
    await press('Allow', other)
    await other.waitForURL(`${appUrl}/`)
    await press('Allow')
    await page.waitForURL(`${appUrl}/`)
    expect(await heading()).toBe('Hello, Ada Lovelace.')
    expect(await heading(other)).toBe('Hello, Ada Lovelace.')
  })

  test('continues with another account after a switch', async () => {
    await page.goto(`${appUrl}/login`)
    await signIn(ada)
    await press('Not you? Use another account')
    await signIn(grace)
    await page.getByText(grace).first().waitFor()
    await press('Allow')
    await page.waitForURL(`${appUrl}/`)
    expect(await heading()).toBe('Hello, Grace Hopper.')
  })

  test('continues with another account without script too', async () => {
    await open({ javaScriptEnabled: false })
    await page.goto(`${appUrl}/login`)
    await signIn(ada)
    await press('Not you? Use another account')
    await signIn(grace)
    await press('Allow')
    await page.waitForURL(`${appUrl}/`)
    expect(await heading()).toBe('Hello, Grace Hopper.')
  })
})

describe('the answer to a form', () => {
  test('is posted to the app (OAuth 2.0 Form Post Response Mode)', async () => {
    const posted: string[] = []
    const from: unknown[] = []
    const app = await listen((body, origin) => {
      posted.push(body)
      from.push(origin)
    })
    const { url, config, verifier } = await requestOf(
      { redirect_uris: [`${app.origin}/cb`] },
      { response_mode: 'form_post' },
    )
    await page.goto(url)
    await signIn(ada)
    await press('Continue as Ada Lovelace')
    await page.waitForURL(`${app.origin}/cb`)
    expect(await heading()).toBe('Received')
    expect(from).toEqual([postern.issuer])
    const callback = new Request(`${app.origin}/cb`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: String(posted[0]),
    })
    const tokens = await oidc.authorizationCodeGrant(config, callback, {
      pkceCodeVerifier: verifier,
      expectedState: 'the state',
    })
    expect(tokens.access_token).toBeTruthy()
    app.server.close()
  })

  test('reaches an app’s own scheme through a redirect of the app (CSP form-action would stop it)', async () => {
    const app = await listen(() => {}, 'com.example.notes:/done?from=callback')
    const { url } = await requestOf({ redirect_uris: [`${app.origin}/cb`] })
    await page.goto(url)
    await signIn(ada)
    const left = new Promise<string>((resolve) => {
      context.on('requestfailed', (request) => resolve(request.url()))
      context.on('request', (request) => {
        if (request.url().startsWith('com.example.notes:')) resolve(request.url())
      })
    })
    await press('Continue as Ada Lovelace').catch(() => {}) // the page does not change: no such app is installed here
    expect(await Promise.race([left, app.asked])).toMatch(/com\.example\.notes:|\/cb\?code=/)
    app.server.close()
  })

  test('redirects to an app’s own scheme directly', async () => {
    const { url } = await requestOf({
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['com.example.notes:/cb'],
    })
    await page.goto(url)
    await signIn(ada)
    const answer = page.waitForResponse((response) => response.url().includes('/oauth/authorize/'))
    await press('Continue as Ada Lovelace').catch(() => {})
    expect((await answer).headers()['location']).toMatch(/^com\.example\.notes:\/cb\?code=/)
  })
})

describe('with only a keyboard', () => {
  test('a person signs in and chooses what to share', async () => {
    await postern.database.query('delete from grants')
    await page.goto(`${appUrl}/login`)
    await page.locator('#email:focus').waitFor() // the first field has the focus already
    await page.keyboard.type(ada)
    await page.keyboard.press('Tab')
    await page.keyboard.type(password)
    await page.keyboard.press('Enter')
    await page.getByLabel('See your email address').waitFor()

    await tabTo('See your email address')
    await page.keyboard.press('Space')
    expect(await page.getByLabel('See your email address').isChecked()).toBe(false)
    await tabTo('Allow')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${appUrl}/`)
    expect(await page.content()).not.toContain(ada)
  })

  test('Enter on a checkbox shares nothing', async () => {
    await postern.database.query('delete from grants')
    await page.goto(`${appUrl}/login`)
    await signIn(ada)
    await tabTo('See your email address')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${appUrl}/callback?*`)
    expect(queryOf(page)).toMatchObject({ error: 'access_denied' })
  })

  /** Presses Tab until the element with this name has the focus. */
  async function tabTo(name: string): Promise<void> {
    for (let presses = 0; presses < 30; presses++) {
      await page.keyboard.press('Tab')
      const focused = await page.evaluate('((e) => (e.labels?.[0] ?? e).innerText ?? "")(document.activeElement)')
      if (String(focused).startsWith(name)) return
    }
    throw new Error(`the focus never came to ${name}`)
  }
})

describe('another site', () => {
  test('cannot put a page of ours in a frame', async () => {
    const { url } = await requestOf({ redirect_uris: ['https://framing.example/cb'] })
    const framing = await listen(() => {})
    await page.goto(framing.origin)
    const blocked = page.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()))
    await page.evaluate(`document.body.append(Object.assign(document.createElement('iframe'), { src: '${url}' }))`)
    await blocked
    expect(await page.frames()[1]?.locator('[name=email]').count()).toBe(0)
    complaints.length = 0 // the expected one
    framing.server.close()
  })
})

/** Starts an app that answers every request and records the forms posted to it. */
async function listen(
  onPost: (body: string, origin: string | undefined) => void,
  location?: string,
): Promise<{ server: Server; origin: string; asked: Promise<string> }> {
  let resolveAsked: (url: string) => void
  const asked = new Promise<string>((resolve) => {
    resolveAsked = resolve
  })
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      if (request.method === 'POST') onPost(body, request.headers.origin)
      if (request.url?.startsWith('/cb')) resolveAsked(request.url)
      if (location) response.writeHead(303, { location }).end()
      else response.setHeader('content-type', 'text/html').end('<!doctype html><title>App</title><h1>Received</h1>')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}
