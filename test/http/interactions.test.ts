import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, completeLogin, discover, type Login } from '../support/relying-party.ts'
import { createVisitor, formsOf, type Page, type Visitor } from '../support/visitor.ts'

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

/** A page for people: it says what is the matter, and leads back to the app. */
function expectFriendly(page: Page, status: number, title: string): void {
  expect(page.status).toBe(status)
  expect(page.headers.get('content-type')).toContain('text/html')
  expect(page.body).toContain(`<h1>${title}</h1>`)
  expect(page.body).toContain('href="https://notes.example')
}

describe('an interaction belongs to the browser that began it', () => {
  test('another browser that knows its address sees neither what is asked nor who asks', async () => {
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
    expect((await visitor.get(page.url)).status).toBe(200) // it goes on where it was begun
  })

  test('a browser cannot answer one interaction in the name of another', async () => {
    const visitor = createVisitor(postern.issuer)
    const [one, other] = [await begin({ visitor }), await begin({ visitor })]
    const [fields] = formsOf(one.page.body)
    const answer = await visitor.post(`${other.page.url}/sign-in`, { ...fields?.hidden, email, password: 'x' })
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('Continue where you started')
  })

  test('the cookie of one interaction is worth nothing at the address of another', async () => {
    const [one, other] = [await begin(), await begin()]
    const cookie = [...one.visitor.cookies].find(([key]) => key.includes('interaction'))?.[1].value
    const signature = [...one.visitor.cookies].find(([key]) => key.includes('interaction.sig'))?.[1].value
    const response = await fetch(other.page.url, {
      headers: { accept: 'text/html', cookie: `postern_interaction=${cookie}; postern_interaction.sig=${signature}` },
    })
    expect(response.status).toBe(400)
  })

  test('a sign-in does not end in a browser that did not begin it', async () => {
    const { page, visitor } = await begin()
    const answer = await fetch(`${page.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        origin: postern.issuer,
        cookie: [...visitor.cookies].map(([key, { value }]) => `${key.split(' ')[0]}=${value}`).join('; '),
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
  test('after it expired, says so and leads back to the app', async () => {
    const { page, visitor } = await begin()
    await postern.database.query(
      `update artifacts set expires_at = now() - interval '1 minute' where model = 'Interaction' and destroyed_at is null`,
    )
    expectFriendly(await visitor.get(page.url), 410, 'This page has expired')
    expectFriendly(await visitor.signIn(page, email), 410, 'This page has expired')
  })

  test('leads to where the app begins a login, when it said where (OpenID Connect Core §4)', async () => {
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

  test('shows a page without a way back when nothing is known of it', async () => {
    const page = await createVisitor(postern.issuer).get(`${postern.issuer}/interaction/made-up`)
    expect(page.status).toBe(410)
    expect(page.body).toContain('This page has expired')
    expect(page.body).not.toContain('class="button"')
  })

  test('cannot be answered again: neither by going back nor by sending the form twice', async () => {
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

  test('takes its cookies with it', async () => {
    const started = await begin({ prompt: 'consent' })
    expect(interactionCookies(started.visitor)).toHaveLength(2) // the value and its signature
    const callback = await completeLogin(started, email)
    expect(callback.searchParams.get('code')).toBeTruthy()
    const lasting = /^postern_(session|browser|known)/ // of the browser, and not of this interaction
    expect([...started.visitor.cookies.keys()].filter((key) => !lasting.test(key))).toEqual([])
  })

  test('takes its cookies with it when the person cancels', async () => {
    const { page, visitor } = await begin()
    const answer = await visitor.submit(page, '/abort')
    expect(new URL(answer.url).searchParams.get('error')).toBe('access_denied')
    expect(interactionCookies(visitor)).toEqual([])
  })

  test('of a form sent twice at once, one answer goes on and the other is refused kindly, without a second code', async () => {
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

describe('two tabs of one browser', () => {
  test('two apps at once: each tab goes its own way, and one session knows both', async () => {
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

  test('a tab that signs in as somebody else does not let the first tab consent in that name', async () => {
    await postern.createAccount('grace@example.com')
    const visitor = createVisitor(postern.issuer)
    const one = await begin({ visitor, prompt: 'consent' })
    const consentPage = await visitor.signIn(one.page, email)
    const two = await begin({ visitor, prompt: 'login' })
    const bounce = await visitor.signIn(two.page, 'grace@example.com')
    expect((await visitor.get(consentPage.url)).body).toContain(email) // nobody else is signed in yet
    const switched = await visitor.submit(bounce, '/oauth/logout/confirm') // which a script does by itself
    expect(switched.body).toContain('grace@example.com')

    const grants = await count('grants')
    expectFriendly(await visitor.get(consentPage.url), 410, 'You were signed out meanwhile')
    expectFriendly(await visitor.allow(consentPage), 410, 'You were signed out meanwhile')
    expect(await count('grants')).toBe(grants)
  })
})
