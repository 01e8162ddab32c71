import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { authorizationRequest, proceed } from '../../concurrency/journey.ts'
import { ask, createParkingVisitor, type HttpsPostern, startHttpsPostern } from '../../support/https-postern.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

type Cookies = Visitor['cookies']
type Step = (visitor: Visitor, page: Page) => Promise<Page>

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const elsewhere = '<h1>Continue where you started</h1>'
let postern: HttpsPostern
let web: ClientMetadata
let tv: ClientMetadata
let email: string
let stranger: Visitor

beforeAll(async () => {
  postern = await startHttpsPostern()
  web = await postern.createClient()
  tv = await postern.createClient({ grant_types: [deviceGrant], redirect_uris: [], response_types: [] })
  stranger = visitorWith()
  await begin(stranger)
})
afterAll(() => postern?.stop())

const visitorWith = (cookies: Cookies = new Map()) => createVisitor(postern.issuer, { fetch: postern.fetch, cookies })

let people = 0
async function newcomer(): Promise<string> {
  email = `person-${++people}@example.com`
  await postern.createAccount(email)
  return email
}

const begin = (visitor: Visitor, parameters: Record<string, string> = {}) =>
  visitor.get(authorizationRequest(web, parameters).path)

async function beginDevice(): Promise<string> {
  const { user_code } = await ask(postern, tv, '/oauth/device_authorization', { scope: 'openid' })
  return String(user_code)
}

const open: Step = (visitor, { url }) => visitor.get(url)
const skip: Step = (visitor, { url }) =>
  visitor.get(url.replace('/interaction/', isOfDevice(url) ? '/device/' : '/oauth/authorize/'))
const signIn: Step = (visitor, page) => visitor.signIn(page, email)
const cancel: Step = (visitor, page) => visitor.submit(page, '/abort')
const allow: Step = (visitor, page) => visitor.allow(page)
const deny: Step = (visitor, page) => visitor.submit(page, '/consent', { decision: 'deny' })
const change: Step = (visitor, page) => visitor.submit(page, '/switch')
const stay: Step = (visitor, page) => visitor.submit(page, '/continue', { decision: 'continue' })
const leave: Step = (visitor, page) => visitor.submit(page, '/continue', { decision: 'switch' })

const ofDevices = new Set<string>()
const isOfDevice = (url: string) => ofDevices.has(new URL(url).pathname)

/** How a flow begins, up to its first page. */
const flows: [name: string, begin: (visitor: Visitor) => Promise<Page>, stages: () => Stage[]][] = [
  ['an authorization request', (visitor) => begin(visitor), () => signingIn],
  [
    'a device login',
    async (visitor) => {
      const shown = await visitor.submit(await visitor.get('/device'), '/device', { user_code: await beginDevice() })
      const page = await visitor.submit(shown, '/device', { confirm: 'yes' })
      ofDevices.add(new URL(page.url).pathname)
      return page
    },
    () => signingIn,
  ],
  [
    'a choice of the account',
    async (visitor) => {
      await proceed(visitor, await begin(visitor), email)
      return begin(visitor, { prompt: 'select_account' })
    },
    () => choosing,
  ],
]

/** The steps that are answered, a last one whose redirect is not followed, and the step that other browsers try. */
type Stage = { name: string; answered?: Step[]; parked?: Step; asked: Step }

const signingIn: Stage[] = [
  { name: 'opening the sign-in page', asked: open },
  { name: 'continuing without an answer', asked: skip },
  { name: 'signing in', asked: signIn },
  { name: 'cancelling', asked: cancel },
  { name: 'continuing after the sign-in', parked: signIn, asked: open },
  { name: 'continuing after cancelling', parked: cancel, asked: open },
  { name: 'opening the consent page', answered: [signIn], asked: open },
  { name: 'continuing without consent', answered: [signIn], asked: skip },
  { name: 'allowing', answered: [signIn], asked: allow },
  { name: 'denying', answered: [signIn], asked: deny },
  { name: 'using another account', answered: [signIn], asked: change },
  { name: 'continuing after the consent', answered: [signIn], parked: allow, asked: open },
  { name: 'continuing after the denial', answered: [signIn], parked: deny, asked: open },
]
const choosing: Stage[] = [
  { name: 'opening the page', asked: open },
  { name: 'continuing as shown', asked: stay },
  { name: 'using another account', asked: leave },
  { name: 'continuing after the choice', parked: stay, asked: open },
]

const isOfBrowser = (key: string) => key.startsWith('__Host-postern_browser_')
const ofBrowser = (cookies: Cookies): [key: string, value: string][] =>
  [...cookies].filter(([key]) => isOfBrowser(key)).map(([key, { value }]) => [key, value])
const without = (own: Cookies): Cookies => new Map([...own].filter(([key]) => !isOfBrowser(key)))

/** Copies the cookies, with another name or value for the browser cookie. */
const altered =
  (alter: (key: string, value: string) => [key: string, value: string]) =>
  (own: Cookies): Cookies =>
    new Map([
      ...ofBrowser(own).map(([key, value]): [string, { value: string; path: string }] => {
        const [name, given] = alter(key, value)
        return [name, { value: given, path: '/' }]
      }),
      ...without(own),
    ])

/** Browsers with everything an attacker can know, but unable to write a cookie with the prefix `__Host-`. */
const others: [name: string, from: (own: Cookies) => Cookies][] = [
  ['without any cookie', () => new Map()],
  ['with all other cookies', without],
  ['with a browser cookie of its own', altered(() => ofBrowser(stranger.cookies)[0] as [string, string])],
  ['with the cookie without its prefix', altered((key, value) => [key.replace('__Host-', ''), value])],
  ['with the cookie under a lesser prefix', altered((key, value) => [key.replace('__Host-', '__Secure-'), value])],
  ['with the cookie in lower case', altered((key, value) => [key.replace('__Host-', '__host-'), value])],
  ['with a space before its name that browsers do not recognise', altered((key, value) => [`\u00a0${key}`, value])],
  [
    'with the value that the database stores',
    altered((key, value) => [key, createHash('sha256').update(value).digest('base64url')]),
  ],
]

type Row = { row: string; expiresAt: Date | null }

/** Reads everything that requests leave behind. */
async function everything(): Promise<Row[]> {
  const tables = [
    'artifacts',
    'sessions',
    `(select to_jsonb(g) - 'last_used_at' from grants g)`, // the last use is written later, by the clock
    '(select * from audit_events where address is not null)',
    'throttles',
  ]
  const expiry = `(to_jsonb(t) ->> 'expires_at')::timestamptz as "expiresAt"`
  const all = tables.map((table) => `select t::text as row, ${expiry} from ${table} t`)
  return (await postern.database.query(`${all.join(' union all ')} order by 1`)) as Row[]
}

/** Returns the rows that have not expired: the server deletes the others at any time. */
const unexpired = (rows: Row[], now: number) =>
  rows.filter(({ expiresAt }) => !expiresAt || expiresAt.getTime() > now).map(({ row }) => row)

/** Brings a flow to a stage in its own browser. */
async function reach(
  beginning: (visitor: Visitor) => Promise<Page>,
  { answered = [], parked }: Stage,
): Promise<{ visitor: Visitor; page: Page }> {
  await newcomer()
  const { visitor, park } = createParkingVisitor(postern)
  let page = await beginning(visitor)
  for (const step of answered) {
    const isDevice = isOfDevice(page.url)
    page = await step(visitor, page)
    if (isDevice) ofDevices.add(new URL(page.url).pathname)
  }
  return { visitor, page: parked ? await park(() => parked(visitor, page)) : page }
}

describe.each(flows)('%s belongs to the browser where it began:', (_flow, beginning, stages) => {
  test.each(stages())('$name is rejected in every other browser, and changes nothing', async (stage) => {
    const { visitor, page } = await reach(beginning, stage)
    const before = await everything()
    for (const [name, from] of others) {
      const cookies = from(visitor.cookies)
      const given = new Map(cookies)
      const answer = await stage.asked(visitorWith(cookies), page)
      expect([name, answer.status, answer.body.includes(elsewhere)]).toEqual([name, 400, true])
      expect([name, cookies]).toEqual([name, given])
    }
    const after = await everything()
    const now = Date.now()
    expect(unexpired(after, now)).toEqual(unexpired(before, now))

    const own = await stage.asked(visitor, page)
    expect(own.status, own.body).toBeLessThan(400)
    expect(own.body).not.toContain(elsewhere)
  })
})

describe('a browser without a cookie', () => {
  test.each([2, 12])('can complete a sign-in in each of %i tabs that it opens at once', async (tabs) => {
    await newcomer()
    const visitor = visitorWith()
    const pages = await Promise.all(Array.from({ length: tabs }, () => begin(visitor)))
    expect(ofBrowser(visitor.cookies)).toHaveLength(tabs)
    for (const page of pages) {
      const { url } = await proceed(visitor, page, email)
      expect(new URL(url).searchParams.get('code')).toBeTruthy()
    }
  })

  test('gets one that no other host can write and no script can read, and that expires', async () => {
    const answer = await postern.fetch(`${postern.issuer}${authorizationRequest(web).path}`, { redirect: 'manual' })
    const [cookie = ''] = answer.headers.getSetCookie().filter(isOfBrowser)
    expect(cookie).toMatch(
      /^__Host-postern_browser_[\w-]{8}=[\w-]{43}; path=\/; expires=[^;]+; samesite=lax; secure; httponly$/,
    )
    const lifetimeMs = Date.parse(/expires=([^;]+)/.exec(cookie)?.[1] ?? '') - Date.now()
    expect(Math.abs(lifetimeMs - postern.config.INTERACTION_TTL_SECONDS * 1000)).toBeLessThan(30_000)
  })

  test('gets none where no flow begins that has to continue', async () => {
    const visitor = visitorWith()
    await visitor.get('/device')
    await begin(visitor, { prompt: 'none' })
    await begin(visitor, { client_id: 'unknown' })
    await visitor.get('/oauth/logout')
    expect(ofBrowser(visitor.cookies)).toEqual([])
  })
})

describe('a browser that has a cookie', () => {
  test('keeps it for everything that begins in it, and each beginning renews it', async () => {
    const visitor = visitorWith()
    await begin(visitor)
    const first = ofBrowser(visitor.cookies)
    expect(first).toHaveLength(1)
    const { headers } = await begin(visitor)
    expect(headers.getSetCookie().filter(isOfBrowser)).toHaveLength(1)
    expect(ofBrowser(visitor.cookies)).toEqual(first)
  })

  test('has no more than a proxy passes on, and can still sign in', async () => {
    const visitor = visitorWith()
    for (let count = 0; count < 40; count++) {
      visitor.cookies.set(`__Host-postern_browser_tab${count} /`, { value: String(count).padEnd(43, 'x'), path: '/' })
    }
    await begin(visitor)
    const kept = ofBrowser(visitor.cookies)
    expect(kept).toHaveLength(32)
    for (let count = 0; count < 3; count++) expect((await begin(visitor)).status).toBe(200)
    expect(ofBrowser(visitor.cookies)).toEqual(kept)
  })
})

describe('a form that was shown to one session', () => {
  const forms: [
    name: string,
    action: string,
    show: (visitor: Visitor) => Promise<Page>,
    fields: Record<string, string>,
  ][] = [
    ['to sign out', '/oauth/logout/confirm', (visitor) => visitor.get('/oauth/logout'), { logout: 'yes' }],
    [
      'to connect a device',
      '/device',
      async (visitor) => visitor.submit(await visitor.get('/device'), '/device', { user_code: await beginDevice() }),
      { confirm: 'yes' },
    ],
    [
      'to refuse a device',
      '/device',
      async (visitor) => visitor.submit(await visitor.get('/device'), '/device', { user_code: await beginDevice() }),
      { abort: 'yes' },
    ],
  ]

  test.each(forms)('%s is rejected in another browser’s session', async (_name, action, show, fields) => {
    await newcomer()
    const visitor = visitorWith()
    await proceed(visitor, await begin(visitor), email)
    const page = await show(visitor)
    const other = visitorWith()
    await newcomer()
    await proceed(other, await begin(other), email)
    await show(other)

    const decided = `select payload from artifacts where model = 'DeviceCode' order by id_hash`
    const ended = `select uid from sessions where destroyed_at is not null order by uid`
    const state = async () => [await postern.database.query(decided), await postern.database.query(ended)]
    const before = await state()
    const answer = await other.submit(page, action, fields)
    // A request to sign out only leads to the question again.
    expect([400, 'Do you want to sign out?']).toContain(
      /Do you want to sign out\?/.exec(answer.body)?.[0] ?? answer.status,
    )
    expect(await state()).toEqual(before)
    expect((await visitor.submit(page, action, fields)).status).toBeLessThan(400)
  })
})
