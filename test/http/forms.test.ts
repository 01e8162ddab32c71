import { request } from 'node:http'
import type * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, discover } from '../support/relying-party.ts'
import { cookieHeaderOf, createVisitor, formsOf, type Page, type Visitor } from '../support/visitor.ts'
import { send } from '../support/wire.ts'

let postern: TestPostern
let config: oidc.Configuration

const email = 'ada@example.com'

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  config = await discover(postern, await postern.createClient({ client_uri: 'https://notes.example' }))
})
afterAll(() => postern?.stop())

/** Every form of ours, with the page that contains it. */
const forms = {
  '/sign-in': { fields: { email, password }, reach: signInPage },
  '/abort': { fields: {}, reach: signInPage },
  '/consent': { fields: { decision: 'allow', scope: 'openid' }, reach: consentPage },
  '/switch': { fields: {}, reach: consentPage },
  '/continue': { fields: { decision: 'continue' }, reach: continuePage },
}
const actions = Object.keys(forms) as (keyof typeof forms)[]

async function signInPage(visitor: Visitor): Promise<Page> {
  return (await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'login' })).page
}

async function consentPage(visitor: Visitor): Promise<Page> {
  const { page } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'login consent' })
  return visitor.signIn(page, email)
}

async function continuePage(visitor: Visitor): Promise<Page> {
  await visitor.allow(await consentPage(visitor))
  return (await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'select_account' })).page
}

/** Reads everything that one of our forms may change, except the time of last use. */
async function state(): Promise<unknown> {
  return Promise.all([
    postern.database.query('select id, payload from grants order by id'),
    postern.database.query('select uid, account_id from sessions order by uid'),
    postern.database.query(`select model, id_hash, payload, destroyed_at from artifacts order by id_hash`),
    postern.database.query("select type from audit_events where type not like 'key.%' order by id"),
  ])
}

function hiddenOf(page: Page, action: string): Record<string, string> {
  const form = formsOf(page.body).find((found) => found.action.endsWith(action))
  return Object.fromEntries(Object.entries(form?.hidden ?? {}).map(([name, value]) => [name, [value].flat()[0] ?? '']))
}

describe.each(actions)('a form to %s that was not sent from our own page', (action) => {
  const { fields, reach } = forms[action]
  let visitor: Visitor
  let page: Page
  let before: unknown

  beforeEach(async () => {
    await postern.database.query('delete from throttles')
    visitor = createVisitor(postern.issuer)
    page = await reach(visitor)
    before = await state()
  })

  const send = (given: Record<string, string>, headers: Record<string, string> = {}) =>
    visitor.post(`${page.url}${action}`, given, headers)

  async function expectRefused(answer: Page, status: number): Promise<void> {
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toContain('text/html')
    expect(answer.body).toContain('<h1>')
    expect(await state()).toEqual(before)
    expect((await visitor.get(page.url)).status).toBe(200) // the interaction is unchanged
  }

  test('is rejected when it is empty', async () => {
    await expectRefused(await send({}), 403)
  })

  test('is rejected without its token', async () => {
    const { csrf: _, ...rest }: Record<string, string> = { ...hiddenOf(page, action), ...fields }
    await expectRefused(await send(rest), 403)
  })

  test('is rejected with the token of another interaction', async () => {
    const other = await signInPage(createVisitor(postern.issuer))
    before = await state()
    const { csrf = '' } = hiddenOf(other, '/sign-in')
    await expectRefused(await send({ ...hiddenOf(page, action), ...fields, csrf }), 403)
  })

  test('is rejected when it names another interaction', async () => {
    await expectRefused(await send({ ...hiddenOf(page, action), ...fields, uid: 'another' }), 403)
  })

  test.each([
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': '', origin: 'https://evil.example' },
    { 'sec-fetch-site': '', origin: 'null' },
  ])('is rejected when the browser sends %o', async (headers) => {
    await expectRefused(await send({ ...hiddenOf(page, action), ...fields }, headers), 403)
  })

  test.each(['application/json', 'text/plain', 'multipart/form-data; boundary=x'])(
    'is rejected with 415 when it is %s',
    async (type) => {
      const given = { ...hiddenOf(page, action), ...fields }
      const response = await fetch(`${page.url}${action}`, {
        method: 'POST',
        headers: { accept: 'text/html', 'content-type': type, origin: postern.issuer, cookie: cookieHeaderOf(visitor) },
        body: type === 'application/json' ? JSON.stringify(given) : String(new URLSearchParams(given)),
      })
      expect(response.status).toBe(415)
      expect(await state()).toEqual(before)
    },
  )

  test('is rejected with 413 when it is too large', async () => {
    await expectRefused(await send({ ...hiddenOf(page, action), ...fields, more: 'x'.repeat(70_000) }), 413)
  })

  test('is rejected when it has its token twice', async () => {
    const hidden = hiddenOf(page, action)
    const answer = await visitor.post(`${page.url}${action}`, {
      ...hidden,
      ...fields,
      csrf: [String(hidden['csrf']), String(hidden['csrf'])],
    })
    await expectRefused(answer, 400)
  })

  test('is ignored in the query of a GET request', async () => {
    const query = new URLSearchParams({ ...hiddenOf(page, action), ...(fields as Record<string, string>) })
    const answer = await visitor.get(`${page.url}${action}?${query}`)
    expect([answer.status, answer.url]).toEqual([200, page.url])
    expect(await state()).toEqual(before)
  })
})

describe('a form', () => {
  const signInWith = async (body: string | Buffer, type = 'application/x-www-form-urlencoded') => {
    const visitor = createVisitor(postern.issuer)
    const page = await signInPage(visitor)
    const own = new URLSearchParams(hiddenOf(page, '/sign-in'))
    const posted = await post(`${page.url}/sign-in`, Buffer.concat([Buffer.from(`${own}&`), Buffer.from(body)]), {
      'content-type': type,
      cookie: cookieHeaderOf(visitor),
      origin: postern.issuer,
      accept: 'text/html',
    })
    if (posted.status !== 303) return posted
    // The redirect leads back to the page, with a message.
    const given = posted.cookies.map((cookie) => cookie.split(';')[0])
    const cookie = [cookieHeaderOf(visitor), ...given].join('; ')
    return send(postern, posted.location, { headers: { cookie, accept: 'text/html' } })
  }

  test.each([
    ['repeats a field', 'email=a@example.com&email=b@example.com&password=x'],
    ['makes a field an object', 'email[$ne]=a&password=x'],
    ['makes a field a list', 'email[0]=a@example.com&password=x'],
    ['targets a prototype', '__proto__[email]=a&password=x'],
  ])('is rejected with a page when it %s', async (_what, body) => {
    const { status, text } = await signInWith(body)
    expect(status).toBe(400)
    expect(text).toContain('<h1>')
  })

  test.each([
    ['bytes that are not UTF-8', 'email=%FF%FE@example.com&password=%C3%28'],
    ['bare bytes that are not UTF-8', Buffer.from([0x65, 0x6d, 0x61, 0x69, 0x6c, 0x3d, 0xff, 0xfe])],
    ['a stray percent sign', 'email=100%@example.com&password=x'],
    ['half of a surrogate pair', 'email=%ED%A0%80@example.com&password=x'],
  ])('is a wrong answer, not a failure, if it has %s', async (_what, body) => {
    const { status, text } = await signInWith(body)
    expect([400, 401]).toContain(status)
    expect(text).toContain('name="password"')
  })

  test.each(['utf-16', 'x-made-up'])('causes no failure in the charset %s', async (charset) => {
    const { status } = await signInWith(
      'email=a@example.com&password=x',
      `application/x-www-form-urlencoded; charset=${charset}`,
    )
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
  })

  test('that claims to be compressed but is not causes no failure', async () => {
    const visitor = createVisitor(postern.issuer)
    const page = await signInPage(visitor)
    const { status } = await post(`${page.url}/sign-in`, Buffer.from('email=a'), {
      'content-type': 'application/x-www-form-urlencoded',
      'content-encoding': 'gzip',
      cookie: cookieHeaderOf(visitor),
    })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
  })

  test.each([
    { email, password: '' },
    { email: '  ', password: 'x' },
    { email: `${'a'.repeat(321)}@example.com`, password: 'x' },
    { email: '<script>alert(1)</script>"@example.com', password: '' },
  ])('that must be wrong keeps the address that was typed, and never the password: %o', async (fields) => {
    const visitor = createVisitor(postern.issuer)
    const answer = await visitor.submit(await signInPage(visitor), '/sign-in', fields)
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('Enter both your email and your password')
    const kept = fields.email.slice(0, 320) // no address is longer
    const escaped = kept
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
    expect(answer.body).toContain(`value="${escaped}"`)
    expect(answer.body).not.toContain('<script>')
  })

  test('keeps the address after a wrong password, and never shows the password', async () => {
    const visitor = createVisitor(postern.issuer)
    const answer = await visitor.signIn(await signInPage(visitor), 'Ada@Example.com ', 'a wrong password')
    expect(answer.status).toBe(401)
    expect(answer.body).toContain('value="Ada@Example.com "')
    expect(answer.body).not.toContain('a wrong password')
  })

  test('is rejected if its decision is unknown, and the page can still be answered', async () => {
    const visitor = createVisitor(postern.issuer)
    const page = await consentPage(visitor)
    expect((await visitor.submit(page, '/consent', { decision: 'maybe' })).status).toBe(400)
    expect((await visitor.submit(page, '/consent', {})).status).toBe(400)
    expect((await visitor.allow(page)).url).toContain('code=')
  })

  test('that belongs to another step is rejected', async () => {
    const visitor = createVisitor(postern.issuer)
    const page = await signInPage(visitor)
    const own = hiddenOf(page, '/sign-in')
    for (const [action, fields] of [
      ['/consent', { decision: 'allow', scope: 'openid' }],
      ['/continue', { decision: 'continue' }],
    ] as const) {
      const answer = await visitor.post(`${page.url}${action}`, { ...own, ...fields })
      expect(answer.status).toBe(400)
      expect(answer.body).toContain('<h1>')
    }
  })
})

describe('RFC 8628 §3.3: the form for a device code', () => {
  test.each([
    {},
    { user_code: '' },
    { user_code: 'WRONG-CODE' },
    { user_code: 'é%00\u0000' },
    { user_code: 'x'.repeat(5_000) },
  ])('is shown again after %o', async (fields) => {
    const visitor = createVisitor(postern.issuer)
    const page = await visitor.get(`${postern.issuer}/device`)
    const answer = await visitor.submit(page, '/device', fields)
    expect(answer.status).toBe(400)
    expect(answer.body).toContain('name="user_code"')
  })

  test('is rejected without its token', async () => {
    const visitor = createVisitor(postern.issuer)
    await visitor.get(`${postern.issuer}/device`)
    const answer = await visitor.post(`${postern.issuer}/device`, { user_code: 'ABCD-EFGH' })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
    expect(answer.body).toContain('<h1>')
  })

  test('reports that too many codes were tried', async () => {
    await postern.database.query('delete from throttles')
    const visitor = createVisitor(postern.issuer)
    let answer = await visitor.get(`${postern.issuer}/device`)
    for (let tries = 0; tries < 15 && answer.status !== 429; tries++) {
      answer = await visitor.submit(answer, '/device', { user_code: 'BCDF-GHJK' })
    }
    expect(answer.status).toBe(429)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(answer.body).toContain('Too many codes were tried')
  })
})

/** The answer to a request that is sent exactly as given: fetch() would correct it. */
type Posted = { status: number; text: string; location: string; cookies: string[] }

function post(url: string, body: Buffer, headers: Record<string, string>): Promise<Posted> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        const { location = '', 'set-cookie': cookies = [] } = response.headers
        resolve({ status: response.statusCode ?? 0, text, location, cookies })
      })
    })
    sent.once('error', reject)
    sent.end(body)
  })
}
