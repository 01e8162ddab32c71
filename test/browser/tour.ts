import type { BrowserContext, Page } from 'playwright-core'
import { pretendOrigin } from '../support/chromium.ts'
import { png } from '../support/images.ts'
import { signUpTourSettings, takeSignUpTour } from './sign-up-tour.ts'

/** An empty server, and the means to add accounts, clients and APIs to it. */
export type Site = {
  issuer: string
  createAccount(email: string, profile: Record<string, unknown>): Promise<unknown>
  createClient(metadata: Record<string, unknown>): Promise<{ client_id: string; [member: string]: unknown }>
  createResource(resource: { identifier: string; name: string; scopes: Record<string, string> }): Promise<void>
  password: string
}

const app = 'https://notes.example'
const api = 'https://files.example/api'
const calendars = 'https://calendars.example/api'
const assistant = 'https://assistant.example'
const email = 'ada@example.com'
const verifierHash = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGjSstw_cM' // from RFC 7636, appendix B; no code is redeemed

/** Client ID metadata documents of two apps: one on the web, and one on the person's device. */
const documents: Record<string, Record<string, unknown>> = {
  [`${assistant}/web.json`]: { client_name: 'Assistant', redirect_uris: [`${app}/cb`] },
  [`${assistant}/desktop.json`]: { client_name: 'Assistant', redirect_uris: ['http://127.0.0.1/callback'] },
}

export const tourSettings = { CLIENT_ID_METADATA_DOCUMENTS: new URL(assistant).host, ...signUpTourSettings }

/** Answers for a host that does not exist, so nothing is fetched from the network. */
export const fetchDocument: typeof globalThis.fetch = async (address) =>
  String(address).endsWith('.png')
    ? new Response(png(64, 64))
    : Response.json({ client_id: String(address), ...documents[String(address)] })

/** People who sign up, one on each tour. */
const newcomers = ['grace', 'emmy', 'mary', 'hedy', 'radia', 'karen']
let tours = 0

type Walk = (context: BrowserContext, visit: (name: string, page: Page) => Promise<void>) => Promise<void>

export type Tour = {
  take: Walk
  /** Visits only the sign-in page. */
  takeSignIn: Walk
}

/** Creates a tour that visits every page. */
export async function createTour({ issuer, password, ...site }: Site): Promise<Tour> {
  const account = {
    name: 'Ada Lovelace',
    given_name: 'Ada',
    birthdate: '1815-12-10',
    phone_number: '+44 20 7946 0018',
    address: { formatted: '12 St James’s Square, London' },
  }
  await site.createAccount(email, account)
  await site.createResource({
    identifier: api,
    name: 'Files',
    scopes: { read: 'Open your files', write: 'Change and delete your files' },
  })
  await site.createResource({
    identifier: calendars,
    name: 'Calendars',
    scopes: Object.fromEntries(
      ['See', 'Share', 'Export', 'Print', 'Search', 'Follow', 'Subscribe to', 'Comment on'].map((does, index) => [
        `calendar-${index}`,
        `${does} your calendars`,
      ]),
    ),
  })
  const client = await site.createClient({
    client_name: 'Field Notes',
    client_uri: app,
    policy_uri: `${app}/privacy`,
    tos_uri: `${app}/terms`,
    redirect_uris: [`${app}/cb`],
    grant_types: ['authorization_code', 'refresh_token'],
  })
  const television = await site.createClient({
    client_name: 'Living Room TV',
    logo_uri: 'https://tv.example/logo.png',
    client_uri: 'https://tv.example',
    token_endpoint_auth_method: 'none',
    redirect_uris: [],
    response_types: [],
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
  })

  function authorize(parameters: Record<string, string> = {}): string {
    return `${issuer}/oauth/authorize?${new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: `${app}/cb`,
      scope: 'openid',
      code_challenge: verifierHash,
      code_challenge_method: 'S256',
      ...parameters,
    })}`
  }

  const authorizeAssistant = (kind: 'web' | 'desktop', redirect_uri = `${app}/cb`) =>
    authorize({
      client_id: `${assistant}/${kind}.json`,
      redirect_uri,
      scope: 'openid profile email',
      prompt: 'consent',
    })

  async function requestUserCode(): Promise<string> {
    const response = await fetch(`${issuer}/oauth/device_authorization`, {
      method: 'POST',
      headers: { 'user-agent': 'LivingRoomTV/4.1' },
      body: new URLSearchParams({ client_id: television.client_id, scope: 'openid profile' }),
    })
    return ((await response.json()) as { user_code: string }).user_code
  }

  async function signIn(page: Page): Promise<void> {
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(password)
    const button = page.getByRole('button', { name: /^(Sign in|Confirm)$/ })
    await Promise.all([page.waitForNavigation(), button.click()])
    const accept = page.getByRole('button', { name: 'Accept and continue' })
    if ((await accept.count()) > 0) await Promise.all([page.waitForNavigation(), accept.click()]) // the first time
  }

  /** Visits the pages about the terms, with somebody who has not accepted any. */
  async function visitTerms(page: Page, visit: (name: string, page: Page) => Promise<void>): Promise<void> {
    const reader = `reader${tours}@example.com`
    await site.createAccount(reader, { name: 'Ada Lovelace' })
    await page.goto(authorize())
    await page.getByLabel('Email').fill(reader)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('button', { name: 'Accept and continue' }).waitFor()
    await visit('terms', page)
    await page.getByRole('button', { name: 'Do not accept' }).click()
    await page.getByRole('link', { name: 'Go to your account' }).waitFor()
    await visit('terms-declined', page)
  }

  return {
    async takeSignIn(context, visit) {
      const page = await context.newPage()
      await page.goto(authorize())
      await visit('sign-in', page)
    },

    async take(context, visit) {
      await pretendOrigin(context, app)
      const page = await context.newPage()
      const press = (name: string | RegExp) => page.getByRole('button', { name }).click()

      await page.goto(issuer)
      await visit('home', page)

      await page.goto(authorizeAssistant('web'))
      await visit('sign-in-document', page)

      await page.goto(
        authorize({ scope: 'openid profile email offline_access read write', prompt: 'consent', resource: api }),
      )
      const signInUrl = page.url()
      await visit('sign-in', page)
      await page.getByLabel('Email').fill(email)
      await page.getByLabel('Password').fill('not my password')
      await press(/^Sign in$/)
      await visit('sign-in-error', page)
      await signIn(page)
      await visit('consent', page)
      const consentUrl = page.url()
      const unknown = await site.createClient({ client_name: 'Field Notes', redirect_uris: [`${app}/cb`] })
      await page.goto(authorize({ client_id: unknown.client_id })) // nothing has been shared with it yet
      await visit('consent-one', page)
      await page.goto(consentUrl)
      await press('Allow')
      await page.waitForURL(`${app}/**`)

      await page.goto(signInUrl)
      await visit('error', page)

      await page.goto(authorizeAssistant('web'))
      await visit('consent-document', page)
      await page.goto(authorizeAssistant('desktop', 'http://127.0.0.1:33418/callback'))
      await visit('consent-document-on-device', page)

      const all = Array.from({ length: 8 }, (_, index) => `calendar-${index}`).join(' ')
      await page.goto(authorize({ scope: all, prompt: 'consent', resource: calendars }))
      await visit('consent-many', page)
      await page.goto(authorize({ prompt: 'consent', claims: '{"userinfo":{"phone_number":null,"email":null}}' }))
      await visit('consent-claims', page)
      await page.goto(authorize({ scope: 'read write', prompt: 'consent', resource: api }))
      for (const box of await page.getByRole('checkbox').all()) await box.uncheck()
      await press('Allow')
      await visit('consent-error', page)
      await page.goto(authorize({ prompt: 'select_account' }))
      await visit('continue-as', page)
      await page.goto(authorize({ prompt: 'login' }))
      await visit('sign-in-again', page)
      await page.goto(authorize({ client_id: 'nobody' }))
      await visit('error-protocol', page)
      await page.goto(authorize({ redirect_uri: `${app}:5001/callback` }))
      await visit('error-redirect-uri', page)
      await page.goto(`${issuer}/nowhere`)
      await visit('error-not-found', page)
      await page.goto(issuer.replace('localhost', '127.0.0.1'))
      await visit('elsewhere', page)

      const userCode = await requestUserCode()
      await page.goto(`${issuer}/device`)
      await visit('device-code', page)
      await page.getByLabel('Code').fill('BBBB-BBBB')
      await press('Continue')
      await visit('device-code-error', page)
      await page.getByLabel('Code').fill(userCode)
      await press('Continue')
      await visit('device-confirm', page)
      await press('Yes, connect')
      if (new URL(page.url()).pathname.startsWith('/interaction/')) await press('Allow') // the first time
      await visit('device-done', page)

      for (const name of ['', 'profile', 'security', 'apps', 'activity', 'data', 'delete']) {
        await page.goto(`${issuer}/account/${name}`.replace(/\/$/, ''))
        await visit(name === '' ? 'account' : `account-${name}`, page)
      }
      await page.goto(`${issuer}/account/apps`)
      await page
        .getByRole('link', { name: /^Remove access of/ })
        .first()
        .click()
      await visit('account-app-remove', page)

      const signOut = (parameters: Record<string, string> = {}) =>
        page.goto(`${issuer}/oauth/logout?${new URLSearchParams({ client_id: client.client_id, ...parameters })}`)
      await signOut({ post_logout_redirect_uri: `${app}/unknown` })
      await visit('sign-out-mistake', page)
      await press('Stay signed in')
      await visit('still-signed-in', page)
      await signOut()
      await visit('sign-out', page)
      await press('Sign out')
      await visit('signed-out', page)
      await signOut({ post_logout_redirect_uri: `${app}/unknown` })
      await visit('signed-out-mistake', page)

      await page.goto(`${issuer}/account`)
      await visit('sign-in-account', page)
      await signIn(page)
      await page.goto(`${issuer}/account/delete`)
      await press('Delete my account')
      await visit('account-deleted', page)
      await page.goto(`${issuer}/account`)
      await signIn(page)
      await visit('keep-account', page)
      await press('Keep my account')

      await context.clearCookies()
      await visitTerms(page, visit)
      await context.clearCookies()
      const newcomer = `${newcomers[tours++ % newcomers.length]}@example.com`
      await takeSignUpTour({ issuer, context, page, app, authorize, email: newcomer, visit })
    },
  }
}
