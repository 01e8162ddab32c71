import type { Browser, BrowserContext, Page as Tab } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { authorizationRequest, proceed } from '../concurrency/journey.ts'
import { launchChromium, pretendOrigin } from '../support/chromium.ts'
import { ask, createParkingVisitor, type HttpsPostern, startHttpsPostern } from '../support/https-postern.ts'
import { password } from '../support/postern.ts'
import { type Site, startSite, type Trap } from '../support/sibling.ts'
import { formsOf, type Page, type Visitor } from '../support/visitor.ts'

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const scope = 'openid email'
const mallory = 'mallory@example.com'
let postern: HttpsPostern
let site: Site
let browser: Browser
let context: BrowserContext
let tab: Tab
let app: ClientMetadata
let firstParty: ClientMetadata
let unrelated: ClientMetadata

beforeAll(async () => {
  postern = await startHttpsPostern()
  site = await startSite(postern)
  await postern.createAccount(mallory)
  const metadata = { grant_types: ['authorization_code', 'refresh_token', deviceGrant], response_types: ['code'] }
  app = await postern.createClient(metadata)
  firstParty = await postern.createClient({ ...metadata, first_party: true })
  unrelated = await postern.createClient()
  browser = await launchChromium('--host-resolver-rules=MAP *.example.test 127.0.0.1')
  context = await browser.newContext({ ignoreHTTPSErrors: true })
  await pretendOrigin(context, 'https://rp.example')
  tab = await context.newPage()
})
afterAll(async () => {
  await browser?.close()
  site?.stop()
  await postern?.stop()
})

const begin = (visitor: Visitor, client: ClientMetadata, parameters: Record<string, string> = {}) =>
  visitor.get(authorizationRequest(client, { scope, ...parameters }).path)

/** A flow that an attacker started in their own browser, and where the victim's browser is sent with its cookies. */
type Bait = { visitor: Visitor; go: Trap['go']; deviceCode?: string }
type Flow = [name: string, prepare: (client: ClientMetadata) => Promise<Bait>]
type Attacker = ReturnType<typeof createParkingVisitor>

async function beginDevice(client: ClientMetadata, visitor: Visitor): Promise<{ page: Page; deviceCode: string }> {
  const { user_code, device_code } = await ask(postern, client, '/oauth/device_authorization', { scope })
  const page = await visitor.submit(await visitor.get('/device'), '/device', { user_code: String(user_code) })
  return { page, deviceCode: String(device_code) }
}

/** A device login that the attacker confirmed, up to the sign-in page. */
const device =
  (go: (attacker: Attacker, page: Page) => Promise<Trap['go']>) =>
  async (client: ClientMetadata): Promise<Bait> => {
    const attacker = createParkingVisitor(postern)
    const { visitor } = attacker
    const { page, deviceCode } = await beginDevice(client, visitor)
    return { visitor, deviceCode, go: await go(attacker, await visitor.submit(page, '/device', { confirm: 'yes' })) }
  }

/** An authorization request of the attacker, with or without a session of theirs. */
const request =
  (go: (attacker: Attacker, page: Page) => Promise<Trap['go']>, prompt?: string) =>
  async (client: ClientMetadata): Promise<Bait> => {
    const attacker = createParkingVisitor(postern)
    const { visitor } = attacker
    if (prompt) await proceed(visitor, await begin(visitor, unrelated), mallory)
    return { visitor, go: await go(attacker, await begin(visitor, client, prompt ? { prompt } : {})) }
  }

const open = async (_: Attacker, { url }: Page) => ({ href: url })
const resume =
  (path: string) =>
  async (_: Attacker, { url }: Page) => ({ href: url.replace('/interaction/', path) })
const parked =
  (answer: (visitor: Visitor, page: Page) => Promise<Page>) =>
  async ({ park, visitor }: Attacker, page: Page) => ({ href: (await park(() => answer(visitor, page))).url })
const sending =
  (action: string, fields: Record<string, string> = {}) =>
  async (_: Attacker, page: Page) =>
    formOf(page, action, fields)

function formOf(page: Page, suffix: string, fields: Record<string, string>): Trap['go'] {
  const form = formsOf(page.body).find(({ action }) => new URL(action, page.url).pathname.endsWith(suffix))
  if (!form) throw new Error(`no form to ${suffix} at ${page.url}`)
  const all = Object.entries({ ...form.hidden, ...fields })
  const action = new URL(form.action, page.url).href
  return { form: { action, fields: all.map(([name, value]) => [name, String([value].flat()[0])]) } }
}

const signIn = (visitor: Visitor, page: Page) => visitor.signIn(page, mallory)
const cancel = (visitor: Visitor, page: Page) => visitor.submit(page, '/abort')
const allow = (visitor: Visitor, page: Page) => visitor.allow(page)
const stay = (visitor: Visitor, page: Page) => visitor.submit(page, '/continue', { decision: 'continue' })

/** Interactions of the attacker whose cookies are planted in the victim's browser. */
const interactions: Flow[] = [
  ['a device that the attacker connected', device(resume('/device/'))],
  ['a device that the attacker connected and then signed in to', device(parked(signIn))],
  ['a device that the attacker connected and cancelled', device(parked(cancel))],
  ['the sign-in page of a device that the attacker connected', device(open)],
  ['an unanswered request', request(resume('/oauth/authorize/'))],
  ['a sign-in', request(parked(signIn))],
  ['a cancelled sign-in', request(parked(cancel))],
  ['a consent', request(parked(allow), 'consent')],
  ['a choice of account', request(parked(stay), 'select_account')],
  ['a sign-in page', request(open)],
  ['a consent page', request(open, 'consent')],
  ['a page to choose the account', request(open, 'select_account')],
  ['the form of a sign-in', request(sending('/sign-in', { email: mallory, password }))],
  ['the form of a consent', request(sending('/consent', { decision: 'allow', scope: 'openid' }), 'consent')],
  ['the form to cancel', request(sending('/abort'))],
  [
    'the form to continue with the account shown',
    request(sending('/continue', { decision: 'continue' }), 'select_account'),
  ],
  ['the form to use another account', request(sending('/continue', { decision: 'switch' }), 'select_account')],
]

/** Pages of a session of the attacker, planted together with that session. */
const pagesOfSessions: Flow[] = [
  [
    'the page that shows a device’s code',
    async (client) => {
      const { visitor } = createParkingVisitor(postern)
      const { page, deviceCode } = await beginDevice(client, visitor)
      return { visitor, deviceCode, go: formOf(page, '/device', { confirm: 'yes' }) }
    },
  ],
  [
    'the page to sign out',
    async () => {
      const { visitor } = createParkingVisitor(postern)
      await proceed(visitor, await begin(visitor, unrelated), mallory)
      return { visitor, go: formOf(await visitor.get('/oauth/logout'), '/oauth/logout/confirm', { logout: 'yes' }) }
    },
  ],
]

/** A victim's past: the apps that they signed in to before, and the app that the attack is about. */
const victims: [name: string, before: () => ClientMetadata[], at: () => ClientMetadata][] = [
  ['is not signed in', () => [], () => app],
  ['is signed in and never consented to the app', () => [unrelated], () => app],
  ['is signed in and consented to the app before', () => [app], () => app],
  ['is signed in while the app is first-party', () => [firstParty], () => firstParty],
]

type Cookies = Awaited<ReturnType<BrowserContext['cookies']>>
type Victim = { email: string; isSignedIn: boolean; cookies: Cookies }

let people = 0
/** Creates a person who has used these apps in their browser. */
async function createVictim(apps: ClientMetadata[]): Promise<Victim> {
  const email = `victim-${++people}@example.com`
  await postern.createAccount(email)
  await context.clearCookies()
  for (const client of apps) {
    await tab.goto(postern.issuer + authorizationRequest(client, { scope }).path)
    await signInAs(email, tab)
    if (client !== firstParty) await tab.getByRole('button', { name: 'Allow' }).click()
    await tab.waitForURL('https://rp.example/**')
  }
  return { email, isSignedIn: apps.length > 0, cookies: await context.cookies() }
}

async function signInAs(email: string, page: Tab): Promise<void> {
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/**
 * The attacker's cookies as a sibling host can set them, under every name that a lenient server may take for ours. The
 * `\u00a0` is a space outside ASCII, which Chromium accepts in front of a name.
 */
function tossed({ cookies }: Visitor): string[] {
  return [...cookies].flatMap(([key, { value, path }]) => {
    const name = String(key.split(' ')[0])
    const names = [name, name.replace(/^__Host-/, ''), name.replace(/^__Host-/, '__host-'), `\u00a0${name}`, `=${name}`]
    return [...new Set(names)].map((given) => `${given}=${value}; Domain=example.test; Path=${path}; Secure; HttpOnly`)
  })
}

async function whoIsSignedIn(): Promise<string> {
  await tab.goto(`${postern.issuer}/oauth/logout`)
  const text = await tab.locator('main').innerText()
  return /\S+@example\.com/.exec(text)?.[0] ?? 'nobody'
}

/** Reads the codes, consents and decided devices: what an attacker would gain or a victim lose. */
const consequences = () =>
  postern.database.query(`
    select 'code' as kind, encode(id_hash, 'hex') as id from artifacts where model = 'AuthorizationCode'
    union all select 'grant', id || payload::text from grants
    union all select 'device', encode(id_hash, 'hex') from artifacts
      where model = 'DeviceCode' and (account_id is not null or payload ? 'error')
    union all select 'session', uid from sessions where destroyed_at is not null
    order by 1, 2`)

/** Opens the attacker's page in the victim's browser, and asserts that the attack has no effect. */
async function expectNothingFrom({ visitor, go, deviceCode }: Bait, victim: Victim, expected: RegExp): Promise<void> {
  const before = await consequences()
  site.lay({ cookies: tossed(visitor), go })
  await tab.goto(site.trapUrl)
  await tab.waitForURL((url) => url.href !== site.trapUrl)
  expect(await tab.getByRole('heading', { level: 1 }).innerText()).toMatch(expected)

  expect(await consequences()).toEqual(before)
  if (deviceCode) {
    const form = { grant_type: deviceGrant, device_code: deviceCode }
    const answers = await Promise.all([app, firstParty].map((client) => ask(postern, client, '/oauth/token', form)))
    for (const answer of answers) expect(answer).not.toHaveProperty('access_token')
  }
  expect(await whoIsSignedIn()).toBe(victim.isSignedIn ? victim.email : 'nobody')

  // The browser must have sent the planted cookies; otherwise nothing was rejected.
  const pairs = [...visitor.cookies].map(([key, { value }]) => `${key.split(' ')[0]}=${value}`)
  const sent = site.received()
  expect(sent.some((pair) => pairs.some((own) => own.replace(/^__Host-/, '') === pair))).toBe(true)
  expect(sent.filter((pair) => pair.startsWith('__Host-') && pairs.includes(pair))).toEqual([])
}

describe.each(victims)('a person who %s and opens a page of a hostile sibling host', (_state, before, at) => {
  let victim: Victim
  let isAsBefore = false
  beforeEach(async ({ onTestFailed }) => {
    if (!isAsBefore) victim = await createVictim(before())
    isAsBefore = true
    onTestFailed(() => {
      isAsBefore = false
    })
    await context.clearCookies()
    await context.addCookies(victim.cookies)
  })

  test.each(interactions)('does not continue %s of the attacker', async (_flow, prepare) => {
    await expectNothingFrom(await prepare(at()), victim, /^Continue where you started$/)
  })

  test.each(pagesOfSessions)('does not answer %s in the attacker’s session', async (_flow, prepare) => {
    // A page may say that nobody is signed in.
    const expected = victim.isSignedIn ? /^(?!.*(is connected|signed out))/ : /^(?!.*is connected)/
    await expectNothingFrom(await prepare(at()), victim, expected)
  })
})

describe('a sibling host that makes the browser drop its cookies', () => {
  test('causes an error page with a way back, and no sign-in of the attacker’s choice', async () => {
    const victim = await createVictim([])
    const own = await context.newPage()
    await own.goto(postern.issuer + authorizationRequest(app, { scope }).path)
    const bait = await request(parked(signIn))(app)

    const flood = Array.from({ length: 400 }, (_, n) => `flood${n}=x; Domain=example.test; Path=/none; Secure`)
    site.lay({ cookies: flood, go: { href: `${postern.issuer}/` } })
    const other = await context.newPage()
    await other.goto(site.trapUrl)
    await other.waitForURL(`${postern.issuer}/`)
    expect(await context.cookies(postern.issuer)).toEqual([])

    await signInAs(victim.email, own)
    await own.getByRole('heading', { name: 'Continue where you started' }).waitFor()
    await expectNothingFrom(bait, victim, /^Continue where you started$/)
  })
})
