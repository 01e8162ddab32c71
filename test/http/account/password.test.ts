import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mailsTo, mailTo } from '../../support/mailbox.ts'
import { administer, canSignIn, press, send } from '../../support/people.ts'
import { password, startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, discover } from '../../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
const chosen = 'my other dog is a cat too'
let postern: TestPostern
let accountId: string
let visitor: Visitor

beforeAll(async () => {
  postern = await startPostern({ SIGN_IN_BY_CODE: 'true' })
})
beforeEach(async () => {
  for (const table of ['throttles', 'outbox', 'accounts']) await postern.database.query(`delete from ${table}`)
  accountId = (await postern.createAccount(email)).id
  visitor = await signedIn()
})
afterAll(() => postern?.stop())

const path = (page: Page) => new URL(page.url).pathname
async function signedIn(): Promise<Visitor> {
  const browser = createVisitor(postern.issuer)
  expect(path(await browser.signIn(await browser.get('/account'), email))).toBe('/account')
  return browser
}
const isIn = async (browser: Visitor) => path(await browser.get('/account')) === '/account'
const form = () => visitor.get('/account/password')
const change = async (fields = {}) => send(visitor, await form(), { password: chosen, sign_out: 'yes', ...fields })
/** Makes every sign-in as old as one of 2023. */
const age = () =>
  postern.database.query(
    `update sessions set payload = jsonb_set(payload - 'proofs', '{loginTs}', '1700000000') where account_id is not null`,
  )

describe('the password of a signed-in person', () => {
  test('is changed without the old one soon after signing in, and ends every other sign-in', async () => {
    const other = await signedIn()
    const page = await form()
    expect(page.body).not.toContain('old_password')
    expect((await change()).body).toContain('Your password is saved')
    expect([await isIn(visitor), await isIn(other)]).toEqual([true, false])
    expect([await canSignIn(postern, email, chosen), await canSignIn(postern, email)]).toEqual([true, false])
    expect((await mailsTo(postern, email)).map(({ kind }) => kind)).toEqual(['password-changed'])
  })

  test('leaves other sign-ins as they are if the person unticks it', async () => {
    const other = await signedIn()
    await change({ sign_out: [] })
    expect([await isIn(visitor), await isIn(other)]).toEqual([true, true])
  })

  test('is changed with the old one later, and a wrong one is refused', async () => {
    await age()
    expect((await form()).body).toContain('autocomplete="current-password"')
    const refused = await change({ old_password: 'not my password' })
    expect([refused.status, refused.body.includes('That is not your current password')]).toEqual([400, true])
    expect(await canSignIn(postern, email)).toBe(true)
    expect((await change({ old_password: password })).body).toContain('Your password is saved')
  })

  test('is changed at the computer of somebody else without a trace there', async () => {
    const browser = createVisitor(postern.issuer)
    const signIn = { email, password, computer: ['mine', 'other'] }
    expect(path(await browser.submit(await browser.get('/account'), '/sign-in', signIn))).toBe('/account')
    await age()
    await send(browser, await browser.get('/account/password'), { password: chosen, old_password: password })
    expect(await canSignIn(postern, email, chosen)).toBe(true)
    expect([...browser.cookies.keys()].filter((name) => name.includes('known'))).toEqual([])
  })

  test('is not guessed there: wrong ones count as elsewhere', async () => {
    await age()
    for (let n = 0; n < 12; n++) await change({ old_password: `wrong number ${n}` })
    const page = await change({ old_password: password })
    expect([page.status, page.body.includes('Too many attempts')]).toEqual([429, true])
  })

  test('needs a recent sign-in where nobody has chosen one yet', async () => {
    await postern.database.query('delete from password_credentials')
    expect(path(await form())).toBe('/account/password')
    await age()
    expect(path(await form())).toMatch(/^\/interaction/)
  })

  test('follows the rules for new passwords, and needs a form of this session', async () => {
    expect((await change({ password: 'short' })).status).toBe(400)
    expect((await visitor.post('/account/password', { csrf: 'wrong', password: chosen })).status).toBe(403)
    expect(await canSignIn(postern, email)).toBe(true)
  })

  test('is where a password manager looks for it', async () => {
    expect(path(await visitor.get('/.well-known/change-password'))).toBe('/account/password')
  })
})

describe('a password that has to be replaced', () => {
  const asks = 'ask you to replace the password'
  const replace = (browser: Visitor, page: Page, fresh = chosen) =>
    browser.submit(page, '/password', { password: fresh })
  const begin = async (browser = createVisitor(postern.issuer)) => {
    await administer(postern, 'require-password-change', { account: accountId })
    return { browser, page: await browser.signIn(await browser.get('/account'), email) }
  }

  test('keeps the person from everything until they choose another', async () => {
    const { browser, page } = await begin()
    expect(page.body).toContain(asks)
    expect(await isIn(browser)).toBe(false)
    const same = await replace(browser, page, password)
    expect([same.status, same.body.includes('This is your current password')]).toEqual([400, true])
    const done = await replace(browser, same)
    expect(path(done)).toBe('/account')
    expect([await canSignIn(postern, email, chosen), await canSignIn(postern, email)]).toEqual([true, false])
  })

  test('is replaced only by the person who signed in', async () => {
    const { page } = await begin()
    const uid = String(path(page).split('/')[2])
    const stranger = createVisitor(postern.issuer)
    expect((await stranger.get(`/interaction/${uid}`)).status).toBeGreaterThanOrEqual(400)
    const elsewhere = await stranger.get('/account')
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(elsewhere.body) ?? []
    const own = String(path(elsewhere).split('/')[2])
    await stranger.post(`/interaction/${own}/password`, { csrf, uid: own, password: chosen })
    expect(await canSignIn(postern, email, chosen)).toBe(false)
  })

  test.each(['disable', 'sign-out'])('is not replaced after an administrator did this: %s', async (verb) => {
    const { browser, page } = await begin()
    await administer(postern, verb, { account: accountId })
    await replace(browser, page)
    await administer(postern, 'enable', { account: accountId })
    expect(await canSignIn(postern, email, chosen)).toBe(false)
  })

  test('is replaced once, also if a thief has signed in with it too', async () => {
    const [{ browser: thief, page: parked }, { browser, page }] = [await begin(), await begin()]
    await replace(browser, page)
    await replace(thief, parked, 'the password of a thief')
    expect([await isIn(thief), await isIn(browser)]).toEqual([false, true])
    expect(await canSignIn(postern, email, chosen)).toBe(true)
  })

  test('stops a person who is signed in already, in /account and at apps', async () => {
    await administer(postern, 'require-password-change', { account: accountId })
    const page = await visitor.get('/account/security')
    expect(page.body).toContain(asks)
    const config = await discover(postern, await postern.createClient())
    const { page: atApp } = await beginLogin(config, { issuer: postern.issuer, visitor })
    expect(atApp.body).toContain(asks)
    const { page: silent } = await beginLogin(config, { issuer: postern.issuer, visitor, prompt: 'none' })
    expect(new URL(silent.url).searchParams.get('error')).toBe('interaction_required')
    const done = await replace(visitor, page)
    expect([path(done), await isIn(visitor)]).toEqual(['/account/security', true])
  })

  test('is replaced after a code by mail, without the old one, and the sign-in goes on', async () => {
    await administer(postern, 'require-password-change', { account: accountId })
    const browser = createVisitor(postern.issuer)
    const code = await press(browser, await browser.get('/account'), 'send-code', email)
    const page = await browser.submit(code, '/code', { code: (await mailTo(postern, email)).code })
    expect(page.body).toContain(asks)
    expect(page.body).not.toContain('old_password')
    expect(await isIn(browser)).toBe(false)
    expect(path(await replace(browser, page))).toBe('/account')
    expect(await canSignIn(postern, email, chosen)).toBe(true)
  })

  test('is replaced by a person who has to sign in again, and keeps that browser signed in', async () => {
    await age()
    await administer(postern, 'require-password-change', { account: accountId })
    const again = await visitor.get('/account/email')
    expect(again.body).not.toContain(asks) // a browser that was left open does not choose the password
    const page = await visitor.signIn(again, email)
    expect(path(await replace(visitor, page))).toBe('/account/email')
  })
})
