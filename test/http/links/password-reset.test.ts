import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mailsTo, mailTo } from '../../support/mailbox.ts'
import { password, startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Page, tickboxes, type Visitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
const chosen = 'my other dog is a cat too'
let postern: TestPostern
let accountId: string

beforeAll(async () => {
  postern = await startPostern()
})
beforeEach(async () => {
  await postern.database.query('delete from throttles')
  await postern.database.query('delete from outbox')
  await postern.database.query('delete from accounts')
  accountId = (await postern.createAccount(email, { name: 'Ada Lovelace' })).id
})
afterAll(() => postern?.stop())

/** Asks for a link to choose a new password, as a person does from the sign-in page. */
async function ask(address = email, visitor = createVisitor(postern.issuer)): Promise<{ visitor: Visitor; page: Page }> {
  const signIn = await visitor.get('/account')
  const forgot = await visitor.submit(signIn, '/sign-in', {}).catch(() => signIn)
  void forgot
  return { visitor, page: await visitor.submit(await open(visitor, signIn, address), '/forgot', { email: address }) }
}

/** Presses “Forgot your password?”, a button of the sign-in form with an address of its own. */
async function open(visitor: Visitor, signIn: Page, address: string): Promise<Page> {
  const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(signIn.body) ?? []
  const { pathname } = new URL(signIn.url)
  return visitor.post(`${pathname}/recover`, { csrf, uid: String(pathname.split('/')[2]), email: address })
}

async function linkFor(address = email): Promise<string> {
  await ask(address)
  return (await mailTo(postern, address)).link
}

const choose = (visitor: Visitor, page: Page, fields = {}) =>
  visitor.submit(page, new URL(page.url).pathname, { password: chosen, sign_out: 'yes', ...fields })

const stranger = () => createVisitor(postern.issuer)

async function canSignIn(secret: string): Promise<boolean> {
  const visitor = stranger()
  const page = await visitor.signIn(await visitor.get('/account'), email, secret)
  return new URL(page.url).pathname === '/account'
}

describe('a person who forgot their password', () => {
  test('gets a link, chooses another one and continues the sign-in where they began it', async () => {
    const { visitor, page } = await ask()
    expect(page.body).toContain('If there is an account for')
    const { link } = await mailTo(postern, email)
    const form = await visitor.get(link)
    expect(form.body).toContain('autocomplete="new-password"')
    expect(tickboxes(form.body)).toEqual([{ name: 'sign_out', value: 'yes', isChecked: true, isDisabled: false }])
    const done = await choose(visitor, form)
    expect(done.body).toContain('Your password is saved')
    const [, next = ''] = /href="(\/interaction\/[^"]+)"/.exec(done.body) ?? []
    const account = await visitor.signIn(await visitor.get(next), email, chosen)
    expect(new URL(account.url).pathname).toBe('/account')
    expect(await canSignIn(password)).toBe(false)
    expect((await mailsTo(postern, email)).map(({ kind }) => kind)).toEqual(['password-changed', 'password-reset'])
  })
})
