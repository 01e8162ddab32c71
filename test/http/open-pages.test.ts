import type * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addresses } from '../../src/oidc/endpoints.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { operate } from '../support/operator.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, discover, login } from '../support/relying-party.ts'
import { cookieHeaderOf, createVisitor, type Fields, formsOf, type Page, type Visitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'

let postern: TestPostern
let serial = 0

beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

type Open = { page: Page; visitor: Visitor; email: string; client: ClientMetadata }

const wayTo: Record<string, { prompt: string | undefined; action: string; fields: Fields }> = {
  'sign-in': { prompt: undefined, action: '/sign-in', fields: { password } },
  'sign-in again': { prompt: 'login', action: '/sign-in', fields: { password } },
  consent: { prompt: 'consent', action: '/consent', fields: { decision: 'allow', scope: 'openid' } },
  'the choice of the account': { prompt: 'select_account', action: '/continue', fields: { decision: 'continue' } },
}

/** Opens a page of a sign-in with a new person, app and account. */
async function open(name: string): Promise<Open> {
  const email = `person-${++serial}@example.com`
  await postern.createAccount(email)
  const client = await postern.createClient({ client_name: 'Field Notes', client_uri: 'https://rp.example' })
  const config: oidc.Configuration = await discover(postern, client)
  const { prompt } = wayTo[name] ?? {}
  if (prompt === undefined) return { ...(await beginLogin(config, { issuer: postern.issuer })), email, client }
  const { visitor } = await login(postern, client, { email })
  return { ...(await beginLogin(config, { issuer: postern.issuer, visitor, prompt })), email, client }
}

const answer = ({ page, visitor, email }: Open, name: string) =>
  visitor.submit(page, String(wayTo[name]?.action), { email, ...wayTo[name]?.fields })

const headingOf = ({ body }: Page) =>
  /<h1[^>]*>([\s\S]*?)<\/h1>/
    .exec(body)?.[1]
    ?.replace(/<[^>]+>/g, '')
    .trim()

/** Events that may happen while a page is open, and what the page then says. */
const events: Record<string, { happen(of: Open): Promise<unknown>; says: string; back: boolean }> = {
  'the account is disabled': {
    happen: ({ email }) => operate(postern, 'account disable', { account: email }),
    says: 'This account is no longer available',
    back: true,
  },
  'the account is deleted': {
    happen: ({ email }) => operate(postern, 'account delete', { account: email }),
    says: 'This account is no longer available',
    back: true,
  },
  'the person signs out in another tab': {
    happen: async ({ visitor }) =>
      visitor.submit(await visitor.get('/oauth/logout'), '/oauth/logout/confirm', { logout: 'yes' }),
    says: 'You have been signed out',
    back: true,
  },
  'the app is disabled': {
    happen: ({ client }) => operate(postern, 'client disable', { client_id: client.client_id }),
    says: 'This app is no longer available',
    back: false,
  },
  'the app is deleted': {
    happen: ({ client }) => operate(postern, 'client delete', { client_id: client.client_id }),
    says: 'This page has expired', // nothing is left that shows whose page it was
    back: false,
  },
}
const signedInPages = Object.keys(wayTo).filter((name) => wayTo[name]?.prompt !== undefined)
const cases = Object.keys(events).flatMap((event) =>
  (event.startsWith('the app') ? Object.keys(wayTo) : signedInPages).map((page) => [event, page] as const),
)

describe('an open page', () => {
  test.each(cases)('explains what has happened when %s (%s)', async (event, name) => {
    const { happen, says, back } = events[event] as (typeof events)[string]
    const opened = await open(name)
    await happen(opened)
    const stranger = createVisitor(postern.issuer)
    await stranger.get('/device')
    await beginLogin(await discover(postern, await postern.createClient()), {
      issuer: postern.issuer,
      visitor: stranger,
    })
    const isKnown = says !== 'This page has expired'
    for (const page of [await opened.visitor.get(opened.page.url), await answer(opened, name)]) {
      expect([page.status, headingOf(page)]).toEqual([410, says])
      expect(page.body.includes('Back to <bdi>Field Notes</bdi>')).toBe(back)
    }
    // Other people learn nothing of it.
    expect(headingOf(await stranger.get(opened.page.url))).toBe(isKnown ? 'Continue where you started' : says)
  })

  test('tells a person who is not signed in yet nothing about the account', async () => {
    const opened = await open('sign-in')
    await operate(postern, 'account disable', { account: opened.email })
    const page = await answer(opened, 'sign-in')
    expect([page.status, page.body.includes('That email and password do not match')]).toEqual([401, true])
  })
})

describe('a form that is rejected', () => {
  const refusals: [string, Fields, number][] = [
    ['a wrong password', { email: 'ada@example.com', password: 'wrong' }, 401],
    ['an unknown person', { email: 'nobody@example.com', password: 'wrong' }, 401],
    ['no password', { email: 'ada@example.com', password: '' }, 400],
  ]

  test.each(refusals)(
    'for %s leads back to its page, which sends nothing when it is reloaded',
    async (_what, fields, status) => {
      const { page, visitor } = await open('sign-in')
      const refused = await visitor.submit(page, '/sign-in', fields)
      expect([refused.status, refused.url, refused.body.includes('role="alert"')]).toEqual([status, page.url, true])
      expect(refused.body).toContain(`value="${fields['email']}"`)
      expect(refused.body).not.toContain('wrong"')
      const again = await visitor.get(refused.url)
      expect([again.status, again.body.includes('role="alert"')]).toEqual([200, false])
      expect([...visitor.cookies.keys()].filter((key) => key.includes('refused'))).toEqual([])
    },
  )

  test('sets an unforgeable cookie for its page alone, and answers with 303', async () => {
    const { page, visitor } = await open('sign-in')
    const [form] = formsOf(page.body)
    const path = new URL(page.url).pathname
    const headers = {
      origin: postern.issuer,
      cookie: cookieHeaderOf(visitor),
    }
    const fields = { ...form?.hidden, email: 'ada@example.com', password: 'a password that is wrong' }
    const posted = await send(postern, `${path}/sign-in`, { form: fields, headers })
    expect([posted.status, posted.headers.get('location')]).toEqual([303, path])
    const cookies = posted.headers.getSetCookie().filter((cookie) => cookie.startsWith('postern_refused'))
    expect(cookies).toHaveLength(2)
    for (const cookie of cookies)
      expect(cookie).toMatch(new RegExp(`path=${path}; expires=.*samesite=lax; httponly`, 'i'))
    expect(Buffer.from(String(cookies[0]).replace(/^[^=]+=|;.*/g, ''), 'base64url').toString()).not.toContain(
      'password',
    )
    const forged = Buffer.from(JSON.stringify({ uid: path.split('/').at(-1), error: 'busy', email: 'x' })).toString(
      'base64url',
    )
    const shown = await send(postern, path, { headers: { cookie: `${headers.cookie}; postern_refused=${forged}` } })
    expect([shown.status, shown.text.includes('role="alert"')]).toEqual([200, false])
  })

  test.each(['a', 'é', '語', '\u0001'])('fits its cookie, whatever was entered: many %j', async (letter) => {
    const { page, visitor } = await open('sign-in')
    const [form] = formsOf(page.body)
    const path = new URL(page.url).pathname
    const headers = {
      origin: postern.issuer,
      cookie: cookieHeaderOf(visitor),
    }
    const fields = { ...form?.hidden, email: letter.repeat(2_000), password }
    const posted = await send(postern, `${path}/sign-in`, { form: fields, headers })
    expect(posted.status).toBe(303)
    const [cookie = ''] = posted.headers.getSetCookie().filter((one) => one.startsWith('postern_refused='))
    expect(cookie).not.toBe('')
    expect(cookie.length).toBeLessThan(4_096) // RFC 6265 §6.1
  })

  test('leads back to the question if it is the consent form', async () => {
    const opened = await open('consent')
    const page = await opened.visitor.submit(opened.page, '/consent', {
      decision: 'allow',
      scope: ['openid', 'made-up'],
    })
    expect([page.status, page.url]).toEqual([400, opened.page.url])
    expect((await opened.visitor.get(page.url)).status).toBe(200)
  })

  test('leads back to the sign-in after the choice of another account', async () => {
    const opened = await open('the choice of the account')
    const form = await opened.visitor.submit(opened.page, '/continue', { decision: 'switch' })
    const refused = await opened.visitor.submit(form, '/sign-in', { email: 'grace@example.com', password: 'wrong' })
    expect([refused.status, refused.body.includes('name="password"')]).toEqual([401, true])
    expect(refused.body).toContain('value="grace@example.com"')
  })
})

describe('RFC 9110 §15.4.4: the address of a form', () => {
  const forms = addresses.filter(({ pageOf }) => pageOf !== undefined)

  test.each(forms)('leads to the page that contains it: $path', async ({ path, pageOf = '' }) => {
    const asked = `${path.replace(':uid', 'AbC-1_x')}?email=ada@example.com&password=secret`
    const { status, headers } = await send(postern, asked)
    expect([status, headers.get('location')]).toEqual([303, pageOf.replace(':uid', 'AbC-1_x')])
  })

  test('leads back to the current page of a sign-in', async () => {
    const { page, visitor } = await open('sign-in')
    const again = await visitor.get(`${page.url}/sign-in`)
    expect([again.status, again.url, again.body.includes('name="password"')]).toEqual([200, page.url, true])
  })
})

describe('a browser without cookies', () => {
  const cookieless = () => {
    const visitor = createVisitor(postern.issuer, { cookies: new Map() })
    visitor.cookies.set = () => visitor.cookies
    return visitor
  }

  test('gets an explanation at the start of a sign-in', async () => {
    const config = await discover(postern, await postern.createClient())
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor: cookieless() })
    expect([page.status, page.body.includes('it sent us no cookie: allow cookies')]).toEqual([400, true])
  })

  test('gets an explanation when it enters a device code', async () => {
    const visitor = cookieless()
    const page = await visitor.submit(await visitor.get('/device'), '/device', { user_code: 'BBBB-BBBB' })
    expect([page.status, page.body.includes('it sent us no cookie: allow cookies')]).toEqual([400, true])
  })
})
