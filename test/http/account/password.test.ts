import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mailsTo } from '../../support/mailbox.ts'
import { administer, canSignIn, send } from '../../support/people.ts'
import { password, startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
const chosen = 'my other dog is a cat too'
let postern: TestPostern
let accountId: string
let visitor: Visitor

beforeAll(async () => {
  postern = await startPostern()
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
    `update sessions set payload = jsonb_set(payload, '{loginTs}', '1700000000') where account_id is not null`,
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
  const begin = async (browser = createVisitor(postern.issuer)) => {
    await administer(postern, 'require-password-change', { account: accountId })
    return { browser, page: await browser.signIn(await browser.get('/account'), email) }
  }

  test('keeps the person from everything until they choose another', async () => {
    const { browser, page } = await begin()
    expect(path(page)).toMatch(/^\/interaction\/[^/]+\/password$/)
    expect(await isIn(browser)).toBe(false)
    const same = await send(browser, page, { password })
    expect([same.status, same.body.includes('This is your current password')]).toEqual([400, true])
    const done = await send(browser, same, { password: chosen })
    expect(path(done)).toBe('/account')
    expect([await canSignIn(postern, email, chosen), await canSignIn(postern, email)]).toEqual([true, false])
  })

  test('can be replaced only in the interaction where the old one was right', async () => {
    const { browser } = await begin()
    const other = await browser.get('/account')
    const uid = String(path(other).split('/')[2])
    expect(path(await browser.get(`/interaction/${uid}/password`))).toBe(`/interaction/${uid}`)
    const stranger = createVisitor(postern.issuer)
    expect((await stranger.get(`/interaction/${uid}/password`)).status).toBeGreaterThanOrEqual(400)
  })

  test.each(['disable', 'sign-out'])('is not replaced after an administrator did this: %s', async (verb) => {
    const { browser, page } = await begin()
    await administer(postern, verb, { account: accountId })
    const sent = await send(browser, page, { password: chosen })
    expect(path(sent)).toMatch(/^\/interaction\/[^/]+$/)
    expect(await canSignIn(postern, email, chosen)).toBe(false)
  })

  test('is replaced once, also if somebody else knew it at the same time and nobody is signed out', async () => {
    const [{ browser: thief, page: parked }, { browser, page }] = [await begin(), await begin()]
    await send(browser, page, { password: chosen })
    expect(path(await send(thief, parked, { password: 'the password of a thief' }))).toMatch(/^\/interaction\/[^/]+$/)
    expect([await isIn(thief), await canSignIn(postern, email, chosen)]).toEqual([false, true])
  })

  test('is replaced by a person who has to sign in again, and keeps that browser signed in', async () => {
    await age()
    await administer(postern, 'require-password-change', { account: accountId })
    const again = await visitor.get('/account/email')
    const page = await visitor.signIn(again, email)
    const done = await send(visitor, page, { password: chosen, sign_out: 'yes' })
    expect(path(done)).toBe('/account/email')
  })
})
