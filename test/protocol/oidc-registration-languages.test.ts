import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operate } from '../support/operator.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'
import { createToken, redirect_uris, register } from '../support/registration.ts'
import { beginLogin, completeLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor, type Visitor } from '../support/visitor.ts'

const email = 'ada@example.com'
const api = 'https://notes.example/api'
let postern: TestPostern

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
})
afterAll(() => postern?.stop())

const inGerman = { 'accept-language': 'de-AT, en;q=0.5' }
const names = {
  client_name: 'Notes',
  'client_name#DE': 'Notizen',
  client_uri: 'https://rp.example/',
  'client_uri#de': 'https://rp.example/de',
  'policy_uri#de': 'https://rp.example/datenschutz',
}

describe('OpenID Connect Registration 1.0 §2.1: names and links in several languages', () => {
  test('are registered with their language, and returned with it', async () => {
    const { status, json } = await register(postern, { redirect_uris, ...names }, await createToken(postern))
    expect(status).toBe(201)
    expect(json).toMatchObject({
      client_name: 'Notes',
      'client_name#de': 'Notizen',
      'client_uri#de': `${names['client_uri#de']}`,
    })
    expect(json).not.toHaveProperty('localized')
    const shown = await operate(postern, 'client show', { client_id: String(json['client_id']) })
    expect(shown).toMatchObject({ localized: { de: { client_name: 'Notizen', policy_uri: names['policy_uri#de'] } } })
  })

  test.each([
    ['a name with invisible characters', { 'client_name#de': 'Not\u200bizen' }],
    ['an address that is not on the web', { 'policy_uri#de': 'javascript:alert(1)' }],
    ['a name that is no text', { 'client_name#de': { a: 1 } }],
  ])('are rejected if one of them is %s', async (_what, metadata) => {
    const { status, json } = await register(postern, { redirect_uris, ...metadata }, await createToken(postern))
    expect([status, json['error']]).toEqual([400, 'invalid_client_metadata'])
  })

  test('are ignored if their tag is not a language, or the member has no languages', async () => {
    const odd = { 'client_name#not a tag': 'x', 'scope#de': 'openid' }
    const { status, json } = await register(postern, { redirect_uris, ...odd }, await createToken(postern))
    expect(status).toBe(201)
    expect(Object.keys(json).filter((name) => name.includes('#'))).toEqual([])
  })
})

describe('a page', () => {
  const localized = { de: { client_name: 'Notizen', policy_uri: 'https://rp.example/datenschutz' } }
  const ask = async (visitor: Visitor, client: Awaited<ReturnType<TestPostern['createClient']>>, parameters = {}) =>
    (await beginLogin(await discover(postern, client), { issuer: postern.issuer, visitor, ...parameters })).page

  test('shows the app and its API in the language of the person', async () => {
    await operate(postern, 'resource create', {
      identifier: api,
      scopes: { read: { en: 'Read your notes', de: 'Ihre Notizen lesen' } },
    })
    const client = await postern.createClient({ client_name: 'Notes', localized })
    const visitor = createVisitor(postern.issuer)
    const request = { scope: 'openid read', resource: api, ui_locales: 'tlh de' }
    const page = await visitor.signIn(await ask(visitor, client, request), email)
    expect(page.headers.get('content-language')).toBe('de')
    expect(page.headers.get('vary')).toContain('Accept-Language')
    expect(page.body).toContain('<html lang="de" dir="ltr">')
    for (const text of ['Notizen', 'https://rp.example/datenschutz', 'Ihre Notizen lesen', 'bittet um Zugriff']) {
      expect(page.body).toContain(text)
    }
  })

  test('does not ask again in another language, but asks when a name has changed in any language', async () => {
    const client = await postern.createClient({ client_name: 'Notes', localized })
    const visitor = createVisitor(postern.issuer)
    await completeLogin({ page: await ask(visitor, client, { ui_locales: 'de' }), visitor }, email)
    expect((await ask(visitor, client, { ui_locales: 'en' })).url).toContain('rp.example/cb')
    await operate(postern, 'client update', {
      client_id: client.client_id,
      localized: { de: { client_name: 'Andere Notizen' } },
    })
    expect((await ask(visitor, client, { ui_locales: 'en' })).url).toContain('/interaction/')
  })
})

describe('the language of a page', () => {
  const home = (visitor: Visitor, headers = {}) => visitor.get(`${postern.issuer}/`, headers)
  const choose = (visitor: Visitor, language: string, address: string, headers = {}) =>
    visitor.post(`${postern.issuer}/language`, { language }, { referer: address, ...headers })

  test('follows from the browser, or from the choice that the person made in it', async () => {
    const visitor = createVisitor(postern.issuer)
    expect((await home(visitor)).body).toContain('lang="en"')
    expect((await home(visitor, inGerman)).body).toContain('lang="de"')
    const page = await choose(visitor, 'de', `${postern.issuer}/`)
    expect([page.url, page.status]).toEqual([`${postern.issuer}/`, 200])
    expect(page.body).toContain('lang="de"')
    expect((await visitor.get(`${postern.issuer}/nowhere`)).body).toContain('Hier ist nichts')
  })

  test('is that of the app, unless the person chooses another on the page itself', async () => {
    const client = await postern.createClient()
    const config = await discover(postern, client)
    const begin = (visitor: Visitor) => beginLogin(config, { issuer: postern.issuer, visitor, ui_locales: 'de' })
    const visitor = createVisitor(postern.issuer)
    await choose(visitor, 'en', `${postern.issuer}/`)
    const { page } = await begin(visitor)
    expect(page.body).toContain('lang="de"')
    const chosen = await choose(visitor, 'en', page.url)
    expect([chosen.url, chosen.body.includes('lang="en"')]).toEqual([page.url, true])
    expect((await begin(visitor)).page.body).toContain('lang="de"')
  })

  test.each(['/oauth/logout', '/device'])('is that of the app at %s, until the person has answered', async (path) => {
    const { visitor } = await login(postern, await postern.createClient(), { email })
    const page = await visitor.get(`${postern.issuer}${path}?ui_locales=de`)
    expect(page.body).toContain('lang="de"')
    const form = path === '/device' ? { user_code: 'BBBB-BBBB' } : { logout: 'yes' }
    expect((await visitor.submit(page, path === '/device' ? path : '/confirm', form)).body).toContain('lang="de"')
    expect((await visitor.get(`${postern.issuer}/`)).body).toContain('lang="en"')
  })

  test('is that of the account where nothing else is known', async () => {
    const client = await postern.createClient()
    const person = 'grace@example.com'
    await postern.createAccount(person)
    await postern.database.query(`update accounts set profile = '{"locale": "de_CH"}' where email = '${person}'`)
    const { page, visitor } = await beginLogin(await discover(postern, client), { issuer: postern.issuer })
    expect(page.body).toContain('lang="en"')
    expect((await visitor.signIn(page, person)).body).toContain('lang="de"')
  })

  test.each(['https://evil.example/', '//evil.example/', '/\\evil.example', 'javascript:alert(1)', ''])(
    'is never changed by a form that leads away: %s',
    async (address) => {
      const page = await choose(createVisitor(postern.issuer), 'de', address)
      expect(page.url).toBe(`${postern.issuer}/`)
    },
  )

  test('is not changed by a form of another site', async () => {
    const { status } = await choose(createVisitor(postern.issuer), 'de', '/', { 'sec-fetch-site': 'cross-site' })
    expect(status).toBe(403)
  })

  test('is listed in the metadata (OpenID Connect Discovery 1.0 §3)', async () => {
    const response = await fetch(`${postern.issuer}/.well-known/openid-configuration`)
    expect(await response.json()).toMatchObject({ ui_locales_supported: expect.arrayContaining(['en', 'de']) })
  })
})
