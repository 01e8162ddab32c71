import type * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover, login } from '../../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration
let visitor: Visitor
let idToken: string
let subject: string

const ada = 'ada@example.com'
const grace = 'grace@example.com'

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(ada, { name: 'Ada Lovelace' })
  await postern.createAccount(grace, { name: 'Grace Hopper' })
})
afterAll(() => postern?.stop())

/** Signs Ada in, with `openid profile` granted and `email` denied. */
beforeEach(async () => {
  client = await postern.createClient()
  config = await discover(postern, client)
  const { tokens, ...rest } = await login(postern, client, {
    email: ada,
    scope: 'openid profile email',
    scopes: ['profile'],
  })
  visitor = rest.visitor
  idToken = String(tokens.id_token)
  subject = String(tokens.claims()?.sub)
})

const ask = async (parameters: Record<string, unknown>): Promise<Page> =>
  (await beginLogin(config, { issuer: postern.issuer, visitor, ...parameters })).page
const isBack = ({ url }: Page) => url.startsWith('https://rp.example/cb?')
const answerOf = ({ url }: Page) => new URL(url).searchParams

/** Returns whose session the browser is in now. */
async function signedIn(browser: Visitor): Promise<string | undefined> {
  const { page } = await beginLogin(config, { issuer: postern.issuer, visitor: browser, prompt: 'select_account' })
  return /dir="ltr">([^<]+@example\.com)/.exec(page.body)?.[1] // the current account is the first
}

async function makeSessionOlder(seconds: number): Promise<void> {
  await postern.database.query(
    `update sessions set payload = jsonb_set(payload - 'proofs', '{loginTs}', to_jsonb((payload->>'loginTs')::bigint - $1::bigint))
     where payload ? 'loginTs'`,
    [seconds],
  )
}

describe('OpenID Connect Core §3.1.2.6: prompt=none', () => {
  const cases: [string, () => Promise<Record<string, unknown>>, string | undefined][] = [
    ['a code when the person is signed in and has consented', async () => ({ scope: 'openid profile' }), undefined],
    ['a code when other scopes were denied', async () => ({ scope: 'openid profile email' }), undefined],
    [
      'login_required without a session',
      async () => {
        visitor = createVisitor(postern.issuer)
        return {}
      },
      'login_required',
    ],
    [
      'consent_required for a scope that the person was never asked for',
      async () => ({ scope: 'openid phone' }),
      'consent_required',
    ],
    [
      'consent_required for a claim that the person was never asked for',
      async () => ({ claims: '{"userinfo":{"address":null}}' }),
      'consent_required',
    ],
    [
      'login_required when the sign-in is older than max_age',
      async () => {
        await makeSessionOlder(120)
        return { max_age: 60 }
      },
      'login_required',
    ],
    ['a code when the sign-in is younger than max_age', async () => ({ max_age: 3_600 }), undefined],
    ['login_required with max_age=0', async () => ({ max_age: 0 }), 'login_required'],
    ['a code when id_token_hint is for this person', async () => ({ id_token_hint: idToken }), undefined],
    [
      'login_required when id_token_hint is for another person',
      async () => {
        const { tokens } = await login(postern, client, { email: grace })
        return { id_token_hint: tokens.id_token }
      },
      'login_required',
    ],
    [
      'login_required when another subject is asked for',
      async () => ({ claims: '{"id_token":{"sub":{"value":"somebody-else"}}}' }),
      'login_required',
    ],
    [
      'login_required for an essential acr that is unattainable',
      async () => ({ claims: '{"id_token":{"acr":{"essential":true,"value":"urn:unattainable"}}}' }),
      'login_required',
    ],
    ['invalid_request together with another prompt', async () => ({ prompt: 'none login' }), 'invalid_request'],
  ]

  test.each(cases)('is answered without a page, with %s', async (_what, prepare, error) => {
    const parameters = await prepare()
    const { page, state } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'none', ...parameters })
    expect(isBack(page)).toBe(true)
    expect(answerOf(page).get('error') ?? undefined).toBe(error)
    expect(answerOf(page).has('code')).toBe(error === undefined)
    expect(answerOf(page).get('state')).toBe(state)
    expect(answerOf(page).get('iss')).toBe(postern.issuer) // RFC 9207
  })

  test('is answered with interaction_required for a native app, which any program on the machine could be (RFC 8252 §8.6)', async () => {
    const native = await postern.createClient({
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      redirect_uris: ['com.example.notes:/cb'],
    })
    const nativeConfig = await discover(postern, native)
    const asked = { issuer: postern.issuer, visitor, redirect_uri: 'com.example.notes:/cb' }
    await completeLogin(await beginLogin(nativeConfig, asked), ada)
    const { page } = await beginLogin(nativeConfig, { ...asked, prompt: 'none' })
    expect(page.url).toMatch(/^com\.example\.notes:\/cb\?/)
    expect(answerOf(page).get('error')).toBe('interaction_required')
  })

  test('is answered with login_required once the account is disabled', async () => {
    const account = await postern.createAccount(`gone.${client.client_id}@example.com`)
    const { visitor: browser } = await login(postern, client, { email: account.email })
    await postern.database.query('update accounts set disabled_at = now() where id = $1', [account.id])
    const { page } = await beginLogin(config, { issuer: postern.issuer, visitor: browser, prompt: 'none' })
    expect(answerOf(page).get('error')).toBe('login_required')
  })
})

describe('OpenID Connect Core §3.1.2.1: prompt=login', () => {
  test('asks a signed-in person to confirm, with the address filled in, and updates auth_time', async () => {
    await makeSessionOlder(500)
    const page = await ask({ prompt: 'login' })
    expect(page.body).toContain('Confirm it’s you')
    expect(page.body).toContain(`value="${ada}"`)
    const { tokens } = await login(postern, client, { email: ada, visitor, prompt: 'login', max_age: 3_600 })
    expect(Number(tokens.claims()?.auth_time)).toBeGreaterThan(Date.now() / 1000 - 60)
  })

  test('is not satisfied by a wrong password, or by continuing without one', async () => {
    const page = await ask({ prompt: 'login' })
    expect((await visitor.signIn(page, ada, 'wrong')).status).toBe(401)
    const { uid, csrf } = { uid: page.url.split('/').at(-1), csrf: /name="csrf" value="([^"]+)"/.exec(page.body)?.[1] }
    const own = { uid: String(uid), csrf: String(csrf) }
    expect((await visitor.post(`${page.url}/continue`, { ...own, decision: 'continue' })).status).toBe(400)
    expect((await visitor.post(`${page.url}/consent`, { ...own, decision: 'allow' })).status).toBe(400)
    expect((await visitor.get(page.url)).body).toContain('Confirm it’s you')
  })

  test('cannot be skipped by requesting its last step directly', async () => {
    const page = await ask({ prompt: 'login' })
    const answer = await visitor.get(`/oauth/authorize/${page.url.split('/').at(-1)}`)
    expect(answer.url).not.toContain('code=')
    expect(answer.status).toBeLessThan(500)
  })

  test('asks a person who is signed out to sign in, without confirmation', async () => {
    visitor = createVisitor(postern.issuer)
    expect((await ask({ prompt: 'login' })).body).not.toContain('Confirm it’s you')
  })
})

describe('OpenID Connect Core §3.1.2.1: max_age and login_hint', () => {
  test('a sign-in older than max_age is confirmed, and auth_time is updated', async () => {
    await makeSessionOlder(120)
    const page = await ask({ max_age: 60 })
    expect(page.body).toContain('Confirm it’s you')
    const { tokens } = await login(postern, client, { email: ada, visitor, max_age: 60 })
    expect(Number(tokens.claims()?.auth_time)).toBeGreaterThan(Date.now() / 1000 - 60)
  })

  test('a sign-in younger than max_age is sufficient', async () => {
    expect(isBack(await ask({ max_age: 3_600 }))).toBe(true)
  })

  test.each(['-1', 'x', '1.5', '99999999999999999999'])('max_age=%s is rejected at the app', async (maxAge) => {
    expect(answerOf(await ask({ max_age: maxAge })).get('error')).toBe('invalid_request')
  })

  test('any login_hint is filled in, up to its maximum length', async () => {
    visitor = createVisitor(postern.issuer)
    expect((await ask({ login_hint: grace })).body).toContain(`value="${grace}"`)
    expect((await ask({ login_hint: '"><b>' })).body).toContain('value="&quot;&gt;&lt;b&gt;"')
    expect((await ask({ login_hint: 'x'.repeat(1_024) })).status).toBe(200)
  })
})

describe('prompt=select_account', () => {
  test('lets a person continue as the same account', async () => {
    const page = await ask({ prompt: 'select_account' })
    for (const text of ['Continue as', 'Ada Lovelace', ada]) expect(page.body).toContain(text)
    const answer = await visitor.submit(page, '/continue', { decision: 'continue' })
    expect(answerOf(answer).has('code')).toBe(true)
    expect(await signedIn(visitor)).toBe(ada)
  })

  test('lets a person use another account, and the browser then has that session', async () => {
    const page = await ask({ prompt: 'select_account' })
    const signInPage = await visitor.submit(page, '/continue', { decision: 'switch' })
    expect(signInPage.body).toContain('name="password"')
    expect(signInPage.body).toContain('id="email" name="email" type="text" inputmode="email" dir="ltr" value=""')
    const consentPage = await visitor.signIn(signInPage, grace)
    expect(consentPage.body).toContain('Grace Hopper')
    expect(isBack(await visitor.allow(consentPage))).toBe(true)
    expect(await signedIn(visitor)).toBe(grace)
    const { tokens } = await login(postern, client, { email: grace, visitor })
    expect(tokens.claims()?.sub).not.toBe(subject)
  })

  test('lets a person sign in again with the same account', async () => {
    const page = await ask({ prompt: 'select_account' })
    const signInPage = await visitor.submit(page, '/continue', { decision: 'switch' })
    expect(answerOf(await visitor.signIn(signInPage, ada)).has('code')).toBe(true)
  })

  test('asks a person who is signed out to sign in, and only once', async () => {
    visitor = createVisitor(postern.issuer)
    const page = await ask({ prompt: 'select_account' })
    expect(page.body).toContain('name="password"')
    expect(isBack(await visitor.signIn(page, ada))).toBe(true)
  })

  test('can be combined with prompt=login and prompt=consent', async () => {
    const chosen = await visitor.submit(await ask({ prompt: 'select_account login consent' }), '/continue', {
      decision: 'continue',
    })
    expect(chosen.body).toContain('Confirm it’s you')
    const consentPage = await visitor.signIn(chosen, ada)
    expect(consentPage.body).toContain('asks for access to your account')
    expect(isBack(await visitor.allow(consentPage))).toBe(true)
  })

  test('does not end the session of the first account in other browsers', async () => {
    const elsewhere = (await login(postern, client, { email: ada })).visitor
    const page = await ask({ prompt: 'select_account' })
    await visitor.signIn(await visitor.submit(page, '/continue', { decision: 'switch' }), grace)
    expect(await signedIn(elsewhere)).toBe(ada)
  })
})

describe('OpenID Connect Core §3.1.2.1: id_token_hint', () => {
  test('asks for the account of another person, and ends when it signs in', async () => {
    const { tokens } = await login(postern, client, { email: grace })
    const page = await ask({ id_token_hint: tokens.id_token })
    expect(page.body).toContain('The app asks for a different account')
    expect(page.body).not.toContain(ada)
    const still = await visitor.signIn(page, ada)
    expect(still.body).toContain('The app asks for a different account')
    expect(answerOf(await visitor.signIn(still, grace)).has('code')).toBe(true)
  })

  test('that is not an ID token of this server is rejected', async () => {
    expect(answerOf(await ask({ id_token_hint: 'not.a.token' })).get('error')).toBe('invalid_request')
  })
})

describe('OpenID Connect Unmet Authentication Requirements 1.0', () => {
  test.each([
    ['value', '{"id_token":{"acr":{"essential":true,"value":"urn:unattainable"}}}'],
    ['values', '{"id_token":{"acr":{"essential":true,"values":["urn:a","urn:b"]}}}'],
  ])(
    'an unattainable essential acr (%s) ends with an error, after a sign-in where nobody is signed in, not in a loop',
    async (_what, claims) => {
      for (const browser of [visitor, createVisitor(postern.issuer)]) {
        const { page, state } = await beginLogin(config, { issuer: postern.issuer, visitor: browser, claims })
        const answer = browser === visitor ? page : await browser.signIn(page, ada)
        expect(answerOf(answer).get('error')).toBe('unmet_authentication_requirements')
        expect(answerOf(answer).get('state')).toBe(state)
      }
    },
  )

  test('an unattainable voluntary acr keeps nobody out', async () => {
    expect(isBack(await ask({ acr_values: 'urn:unattainable' }))).toBe(true)
    expect(isBack(await ask({ claims: '{"id_token":{"acr":{"value":"urn:unattainable"}}}' }))).toBe(true)
  })
})
