import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover, type Login } from '../../support/relying-party.ts'
import { cookieHeaderOf, createVisitor, formsOf, type Page, type Visitor } from '../../support/visitor.ts'

let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration

const email = 'ada@example.com'

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient({ client_name: 'Notes', client_uri: 'https://notes.example' })
  config = await discover(postern, client)
})
afterAll(() => postern?.stop())

const begin = (parameters: { visitor?: Visitor; [name: string]: unknown } = {}): Promise<Login> =>
  beginLogin(config, { issuer: postern.issuer, ...parameters })
const uidOf = ({ url }: Page) => String(new URL(url).pathname.split('/')[2])
const interactionCookies = (visitor: Visitor) =>
  [...visitor.cookies.keys()].filter((key) => key.includes('interaction'))

async function count(table: string): Promise<number> {
  const [row] = await postern.database.query(`select count(*)::int as n from ${table}`)
  return Number(row?.['n'])
}

/** Asserts that a page explains the problem to people, and leads back to the app. */
function expectFriendly(page: Page, status: number, title: string): void {
  expect(page.status).toBe(status)
  expect(page.headers.get('content-type')).toContain('text/html')
  expect(page.body).toContain(`<h1>${title}</h1>`)
  expect(page.body).toContain('href="https://notes.example')
}

describe('an interaction belongs to the browser where it began:', () => {
  test('another browser that knows its address sees neither the question nor who asks', async () => {
    const { page } = await begin()
    const stranger = createVisitor(postern.issuer)
    expectFriendly(await stranger.get(page.url), 400, 'Continue where you started')
  })

  test('another browser cannot answer it, not even with the whole form', async () => {
    const { page, visitor } = await begin()
    const stranger = createVisitor(postern.issuer)
    const answer = await stranger.signIn(page, email)
    expectFriendly(answer, 400, 'Continue where you started')
    expect(stranger.cookies.size).toBe(0)
    expect((await visitor.get(page.url)).status).toBe(200) // it continues in its own browser
  })

  test('a browser cannot answer one interaction with the form of another', async () => {
    const visitor = createVisitor(postern.issuer)
    const [one, other] = [await begin({ visitor }), await begin({ visitor })]
    const [fields] = formsOf(one.page.body)
    const answer = await visitor.post(`${other.page.url}/sign-in`, { ...fields?.hidden, email, password: 'x' })
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('Continue where you started')
  })

  test('the cookie of one interaction is rejected at the address of another', async () => {
    const [one, other] = [await begin(), await begin()]
    const cookie = [...one.visitor.cookies].find(([key]) => key.includes('interaction'))?.[1].value
    const signature = [...one.visitor.cookies].find(([key]) => key.includes('interaction.sig'))?.[1].value
    const response = await fetch(other.page.url, {
      headers: { accept: 'text/html', cookie: `postern_interaction=${cookie}; postern_interaction.sig=${signature}` },
    })
    expect(response.status).toBe(400)
  })

  test('a sign-in does not complete in a browser that did not begin it', async () => {
    const { page, visitor } = await begin()
    const answer = await fetch(`${page.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        origin: postern.issuer,
        cookie: cookieHeaderOf(visitor),
      },
      body: new URLSearchParams({
        ...(formsOf(page.body)[0]?.hidden as Record<string, string>),
        email,
        password: 'correct horse battery staple',
      }),
    })
    expect(answer.status).toBe(303)
    const stranger = createVisitor(postern.issuer)
    expectFriendly(await stranger.get(String(answer.headers.get('location'))), 400, 'Continue where you started')
    expect(stranger.cookies.size).toBe(0)
  })
})

describe('an interaction that is over', () => {
  test('reports after its expiry that it has expired, and leads back to the app', async () => {
    const { page, visitor } = await begin()
    await postern.database.query(
      `update artifacts set expires_at = now() - interval '1 minute' where model = 'Interaction' and destroyed_at is null`,
    )
    expectFriendly(await visitor.get(page.url), 410, 'This page has expired')
    expectFriendly(await visitor.signIn(page, email), 410, 'This page has expired')
  })

  test('leads to the app’s address for beginning a login, if it has one (OpenID Connect Core §4)', async () => {
    const other = await postern.createClient({
      client_name: 'Mail',
      client_uri: 'https://mail.example',
      initiate_login_uri: 'https://mail.example/login',
    })
    const { page } = await beginLogin(await discover(postern, other), { issuer: postern.issuer })
    const { body } = await createVisitor(postern.issuer).get(page.url)
    expect(body).toContain('href="https://mail.example/login"')
    expect(body).toContain('Mail')
  })

  test('shows a page without a way back when it is unknown', async () => {
    const page = await createVisitor(postern.issuer).get(`${postern.issuer}/interaction/made-up`)
    expect(page.status).toBe(410)
    expect(page.body).toContain('This page has expired')
    expect(page.body).not.toContain('class="button"')
  })

  test('cannot be answered again, neither by going back nor by sending the form twice', async () => {
    const started = await begin()
    const { page: signInPage, visitor } = started
    const consentPage = await visitor.signIn(signInPage, email)
    expectFriendly(await visitor.get(signInPage.url), 409, 'This step is already done')
    expectFriendly(await visitor.signIn(signInPage, email), 409, 'This step is already done')

    await visitor.allow(consentPage)
    const before = [await count('artifacts'), await count('grants'), await count('sessions')]
    expectFriendly(await visitor.get(consentPage.url), 409, 'This step is already done')
    expectFriendly(await visitor.allow(consentPage), 409, 'This step is already done')
    expectFriendly(await visitor.submit(consentPage, '/switch'), 409, 'This step is already done')
    expectFriendly(await visitor.submit(signInPage, '/abort'), 409, 'This step is already done')
    expect([await count('artifacts'), await count('grants'), await count('sessions')]).toEqual(before)
  })

  test('leaves none of its cookies behind', async () => {
    const started = await begin({ prompt: 'consent' })
    expect(interactionCookies(started.visitor)).toHaveLength(2) // the value and its signature
    const callback = await completeLogin(started, email)
    expect(callback.searchParams.get('code')).toBeTruthy()
    const lasting = /^postern_(session|browser|known)/ // these belong to the browser, not to this interaction
    expect([...started.visitor.cookies.keys()].filter((key) => !lasting.test(key))).toEqual([])
  })

  test('leaves none of its cookies behind when the person cancels', async () => {
    const { page, visitor } = await begin()
    const answer = await visitor.submit(page, '/abort')
    expect(new URL(answer.url).searchParams.get('error')).toBe('access_denied')
    expect(interactionCookies(visitor)).toEqual([])
  })

  test('issues one code if its form is sent several times at once, and the other answers are error pages', async () => {
    const { page, visitor } = await begin({ prompt: 'consent' })
    const consentPage = await visitor.signIn(page, email)
    const codes = await count(`artifacts where model = 'AuthorizationCode'`)
    const answers = await Promise.all(Array.from({ length: 6 }, () => visitor.allow(consentPage)))
    const returned = answers.filter(({ url }) => url.startsWith('https://rp.example/'))
    expect(returned.length).toBeGreaterThanOrEqual(1)
    expect(await count(`artifacts where model = 'AuthorizationCode'`)).toBe(codes + 1)
    for (const answer of answers) {
      if (returned.includes(answer)) continue
      expect(answer.status).toBeGreaterThanOrEqual(400)
      expect(answer.status).toBeLessThan(500)
      expect(answer.body).toContain('<h1>')
    }
  })
})

describe('in two tabs of one browser', () => {
  test('two logins to two apps complete independently, and one session knows both apps', async () => {
    const other = await postern.createClient({ client_name: 'Calendar' })
    const otherConfig = await discover(postern, other)
    const visitor = createVisitor(postern.issuer)
    const one = await begin({ visitor })
    const two = await beginLogin(otherConfig, { issuer: postern.issuer, visitor })
    expect(uidOf(one.page)).not.toBe(uidOf(two.page))

    const callbacks = [await completeLogin(one, email), await completeLogin(two, email)]
    const tokens = [
      await oidc.authorizationCodeGrant(config, callbacks[0] as URL, {
        pkceCodeVerifier: one.verifier,
        expectedNonce: one.nonce,
        expectedState: one.state,
      }),
      await oidc.authorizationCodeGrant(otherConfig, callbacks[1] as URL, {
        pkceCodeVerifier: two.verifier,
        expectedNonce: two.nonce,
        expectedState: two.state,
      }),
    ]
    expect(tokens[0]?.claims()?.sub).toBe(tokens[1]?.claims()?.sub)
    const [session] = await postern.database.query(
      `select count(*)::int as n from sessions where destroyed_at is null and authorizations ? $1 and authorizations ? $2`,
      [client.client_id, other.client_id],
    )
    expect(session).toEqual({ n: 1 })
  })

  test('a sign-in as another person does not let the first tab consent in that person’s name', async () => {
    await postern.createAccount('grace@example.com')
    const visitor = createVisitor(postern.issuer)
    const one = await begin({ visitor, prompt: 'consent' })
    const consentPage = await visitor.signIn(one.page, email)
    const two = await begin({ visitor, prompt: 'login' })
    const switched = await visitor.signIn(two.page, 'grace@example.com')
    expect(switched.body).toContain('grace@example.com')

    const shown = await visitor.get(consentPage.url)
    expect(shown.body).toContain(email)
    expect(shown.body).not.toContain('grace@example.com')
    const done = await visitor.allow(shown)
    expect(done.url).toMatch(/^https:\/\/rp\.example/)
    const [granted] = await postern.database.query(
      `select count(*)::int as n from grants where account_id = (select id from accounts where email = 'grace@example.com')`,
    )
    expect(granted).toEqual({ n: 0 })
    expect((await begin({ visitor, prompt: 'select_account' })).page.body).toMatch(/Current[\s\S]*grace@example\.com/)
  })
})
