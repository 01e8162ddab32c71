import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPasskey, type Said } from '../../support/authenticator.ts'
import { mailTo } from '../../support/mailbox.ts'
import { createHolder, optionsAt, sendPasskey, signInWith } from '../../support/passkey-holder.ts'
import { administer } from '../../support/people.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { login } from '../../support/relying-party.ts'
import { createVisitor, type Page } from '../../support/visitor.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern({ PASSKEY_RELATED_ORIGINS: 'https://example.de', SIGN_UP: 'open' })
})
afterAll(() => postern?.stop())

const open = async () => {
  const visitor = createVisitor(postern.issuer)
  return { visitor, page: await visitor.get('/account') }
}
const isIn = (page: Page) => page.url === `${postern.issuer}/account`

describe('the sign-in page', () => {
  test('signs in with a passkey and no address, and an app learns how', async () => {
    const { passkey } = await createHolder(postern, 'ada@example.com')
    const client = await postern.createClient()
    const { visitor, page } = await open()
    expect(page.body).toMatch(/name="email"[^>]*autocomplete="username webauthn"/)
    expect(isIn(await signInWith(visitor, page, passkey))).toBe(true)
    const { tokens } = await login(postern, client, { email: '', visitor, acr_values: 'phr' })
    expect(tokens.claims()?.['acr']).toBe('phr')
    const [session] = await postern.database.query(
      `select payload->'amr' as amr from sessions order by created_at desc`,
    )
    expect(session?.['amr']).toEqual(expect.arrayContaining(['pop', 'user', 'mfa']))
  })

  test('tells nobody which passkeys an address has', async () => {
    const { visitor, page } = await open()
    expect(await optionsAt(visitor, page)).toMatchObject({ allowCredentials: [], userVerification: 'required' })
  })

  const refused: [string, Said][] = [
    ['from another origin', { origin: 'https://evil.example' }],
    ['for another relying party', { rpId: 'evil.example' }],
    ['for a challenge that nobody created', { challenge: 'A'.repeat(43) }],
    ['without a verified person', { isUserVerified: false }],
    ['with a bad signature', { spoil: true }],
    ['with a counter that went back', { counter: 1 }],
  ]
  test('refuses each answer that is not right, in the same words', async () => {
    const { passkey } = await createHolder(postern, 'grace@example.com')
    for (const [title, said] of refused) {
      const { visitor, page } = await open()
      const answer = await signInWith(visitor, page, passkey, said)
      expect([title, answer.status]).toEqual([title, 401])
      expect(answer.body).toContain('That passkey could not be used.')
      expect(answer.body).not.toContain('grace@example.com')
    }
    const { visitor, page } = await open()
    expect(isIn(await signInWith(visitor, page, passkey, { counter: 99 }))).toBe(true)
  })

  test('refuses a challenge that was used, and one of another browser or interaction', async () => {
    const { passkey } = await createHolder(postern, 'hopper@example.com')
    const [one, other] = [await open(), await open()]
    const response = passkey.authenticate(await optionsAt(one.visitor, one.page))
    expect((await sendPasskey(other.visitor, other.page, response)).status).toBe(401)
    const again = await one.visitor.get('/account/apps') // another interaction of the same browser
    expect((await sendPasskey(one.visitor, again, response)).status).toBe(401)
    expect(isIn(await sendPasskey(one.visitor, one.page, response))).toBe(true)
    const third = await open()
    expect((await sendPasskey(third.visitor, third.page, response)).status).toBe(401)
  })

  test('refuses a passkey that is not known here, and has its authenticator forget it', async () => {
    const passkey = createPasskey(new URL(postern.issuer).origin)
    passkey.register({ challenge: 'AAAA', user: { id: 'AAAA' }, rp: { id: 'localhost' } })
    const { visitor, page } = await open()
    const answer = await signInWith(visitor, page, passkey)
    expect(answer.status).toBe(401)
    expect(answer.body).toContain('data-signal="signalUnknownCredential"')
    expect(answer.body).toContain(passkey.id)
  })

  test('refuses the passkey of a disabled account', async () => {
    const { passkey } = await createHolder(postern, 'off@example.com')
    const [row] = await postern.database.query('select id from accounts where email = $1', ['off@example.com'])
    await administer(postern, 'disable', { account: String(row?.['id']) })
    const { visitor, page } = await open()
    expect((await signInWith(visitor, page, passkey)).status).toBe(401)
  })

  test('gives options only to its own form', async () => {
    const { visitor, page } = await open()
    const { pathname } = new URL(page.url)
    expect(
      (await visitor.post(`${pathname}/passkey/options`, { csrf: 'x', uid: pathname.split('/')[2] ?? '' })).status,
    ).toBe(403)
    expect((await visitor.post(`${pathname}/passkey`, { csrf: 'x', uid: '' })).status).toBe(403)
  })
})

describe('a sign-up without a password', () => {
  test('creates no account before its passkey, and none with an answer that is not right', async () => {
    const email = 'new@example.com'
    const { visitor, page } = await open()
    const { pathname } = new URL(page.url)
    const begin = await visitor.get(`${pathname}/sign-up`)
    const code = await visitor.submit(begin, '/sign-up', { email, way: 'passkey' })
    expect((await visitor.get(`${pathname}/sign-up/passkey`)).url).toMatch(/sign-up$/) // nothing is proven yet
    const proven = await visitor.submit(code, '/code', { code: (await mailTo(postern, email)).code })
    expect(proven.url).toMatch(/\/sign-up\/passkey$/)
    const passkey = createPasskey(new URL(postern.issuer).origin)
    const wrong = passkey.register(await optionsAt(visitor, proven), { origin: 'https://evil.example' })
    expect((await sendPasskey(visitor, proven, wrong)).status).toBe(400)
    const noCode = await visitor.submit(code, '/code', { code: (await mailTo(postern, email)).code })
    expect(noCode.url).toMatch(/\/sign-up\/passkey$/) // a reload of the form is no second account
    expect(await postern.database.query('select id from accounts where email = $1', [email])).toEqual([])

    const right = passkey.register(await optionsAt(visitor, proven))
    const stranger = await open()
    const theirs = new URL(stranger.page.url).pathname
    const { csrf = '' } = { csrf: /name="csrf" value="([^"]+)"/.exec(stranger.page.body)?.[1] }
    await stranger.visitor.post(`${theirs}/sign-up/passkey`, {
      csrf,
      uid: String(theirs.split('/')[2]),
      response: right,
    })
    expect(await postern.database.query('select id from accounts where email = $1', [email])).toEqual([])
    expect(isIn(await sendPasskey(visitor, proven, right))).toBe(true)
    const again = await open()
    expect(isIn(await signInWith(again.visitor, again.page, passkey))).toBe(true)
  })
})

describe('the files about passkeys', () => {
  test('name the other origins, and the pages where passkeys are added and managed', async () => {
    const read = async (name: string) => (await fetch(`${postern.issuer}/.well-known/${name}`)).json()
    expect(await read('webauthn')).toEqual({ origins: ['https://example.de'] })
    expect(await read('passkey-endpoints')).toEqual({
      enroll: `${postern.issuer}/account/passkeys/add`,
      manage: `${postern.issuer}/account/security`,
    })
  })
})
