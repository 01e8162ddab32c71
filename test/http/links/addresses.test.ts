import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mailsTo, mailTo } from '../../support/mailbox.ts'
import { administer, canSignIn, forget, send } from '../../support/people.ts'
import { password, startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

const [old, fresh] = ['ada@example.com', 'countess@example.org']
let postern: TestPostern
let accountId: string
let visitor: Visitor

beforeAll(async () => {
  postern = await startPostern({ SIGN_UP_REFUSED_DOMAINS: '*.refused.example' })
})
beforeEach(async () => {
  for (const table of ['throttles', 'outbox', 'accounts']) await postern.database.query(`delete from ${table}`)
  accountId = (await postern.createAccount(old, { name: 'Ada Lovelace' })).id
  visitor = stranger()
  await visitor.signIn(await visitor.get('/account'), old)
})
afterAll(() => postern?.stop())

const stranger = () => createVisitor(postern.issuer)
const emailPage = () => visitor.get('/account/email')
const change = async (email = fresh) => visitor.submit(await emailPage(), '/account/email', { email })
const open = async (link: string, fields = {}, browser = visitor) => send(browser, await browser.get(link), fields)
const linkTo = async (email: string) => (await mailTo(postern, email)).link
const account = async () =>
  (await postern.database.query('select email, email_verified from accounts where id = $1', [accountId]))[0]

/** Changes the address, and returns the link of the mail that undoes it. */
async function changed(): Promise<string> {
  await change()
  expect((await open(await linkTo(fresh))).body).toContain('Your address is confirmed')
  return linkTo(old)
}

describe('a change of address', () => {
  test('counts once the owner of the new one opens the link where they are signed in and presses the button', async () => {
    const asked = await change()
    expect(asked.body).toContain('We have sent a link')
    expect(asked.body).toContain(fresh)
    expect(await account()).toEqual({ email: old, email_verified: true })
    const link = await linkTo(fresh)
    for (const method of ['HEAD', 'GET']) expect((await fetch(link, { method })).status).toBe(200)
    expect(await account()).toEqual({ email: old, email_verified: true })
    const done = await open(link)
    expect(done.body).toContain('Your address is confirmed')
    expect(await account()).toEqual({ email: fresh, email_verified: true })
    expect(await canSignIn(postern, fresh)).toBe(true)
    expect((await emailPage()).body).not.toContain('Waiting')
    expect((await open(link).catch(String)).toString()).toContain('no form')
    expect((await stranger().get(link)).body).toContain('This link was used already')
  })

  test('names its account, and leads a browser that is not signed in there to the sign-in and back', async () => {
    await change()
    const mail = await mailTo(postern, fresh)
    expect(mail.text).toContain('Ada Lovelace (a•••@example.com)')
    expect(`${mail.text} ${mail.html}`).not.toContain(old)
    const browser = stranger()
    const page = await browser.get(mail.link)
    expect([page.body.includes('Ada Lovelace'), page.body.includes('a•••@example.com')]).toEqual([true, true])
    expect(page.body).not.toContain(old)
    const signIn = await send(browser, page)
    expect(new URL(signIn.url).pathname).toMatch(/^\/interaction/)
    expect(await account()).toEqual({ email: old, email_verified: true })
    const back = await browser.signIn(signIn, old)
    expect(back.url).toBe(mail.link)
    expect((await send(browser, back)).body).toContain('Your address is confirmed')
    expect(await account()).toEqual({ email: fresh, email_verified: true })
  })

  test('is not confirmed by the owner of the address for an account that is not theirs', async () => {
    await postern.createAccount('victim@example.com')
    await change()
    const link = await linkTo(fresh)
    const victim = stranger()
    await victim.signIn(await victim.get('/account'), 'victim@example.com')
    const choice = await send(victim, await victim.get(link))
    expect(choice.url).toContain('/interaction/')
    const back = await victim.submit(choice, '/continue', { decision: 'continue' })
    expect([back.url, back.body.includes('Sign in to confirm')]).toEqual([link, true])
    expect(await account()).toEqual({ email: old, email_verified: true })
  })

  test('puts nothing of a name into a mail to a stranger but a plain name', async () => {
    for (const name of ['Win at evil.example', 'https://evil.example', 'a@evil.example', 'x'.repeat(80)]) {
      await postern.database.query('delete from throttles')
      await administer(postern, 'update', { account: accountId, claims: { name } })
      await change()
      const mail = await mailTo(postern, fresh)
      expect([mail.text.includes('a•••@example.com'), mail.text.includes(name)]).toEqual([true, false])
    }
  })

  test('lets the previous address undo it, which signs out and mails a link to a new password', async () => {
    const undo = await changed()
    expect((await mailTo(postern, old)).text).toContain(fresh)
    const done = await open(undo, {}, stranger())
    expect(done.body).toContain('You have your address back')
    expect(await account()).toEqual({ email: old, email_verified: true })
    expect(new URL((await visitor.get('/account')).url).pathname).toMatch(/^\/interaction/)
    expect((await mailTo(postern, old)).kind).toBe('password-reset')
    // A thief who knows it would change the address again before the owner reads that mail.
    expect(await canSignIn(postern, old)).toBe(false)
    await open(await linkTo(old), { password: 'nanoseconds of wire' }, stranger())
    expect(await canSignIn(postern, old, 'nanoseconds of wire')).toBe(true)
    expect((await stranger().get(undo)).body).toContain('This link was used already')
  })

  test('is undone by the first previous owner, whatever a thief does with later links', async () => {
    const undo = await changed()
    await visitor.submit(await emailPage(), '/account/email', { email: 'thief@example.net' })
    await open(await linkTo('thief@example.net'))
    const later = await linkTo(fresh)
    await open(later)
    expect(await account()).toEqual({ email: fresh, email_verified: true })
    expect((await open(undo)).body).toContain('You have your address back')
    expect(await account()).toEqual({ email: old, email_verified: true })
  })

  test('ends later links of a thief once the first owner undoes it', async () => {
    const undo = await changed()
    await visitor.submit(await emailPage(), '/account/email', { email: 'thief@example.net' })
    await open(await linkTo('thief@example.net'))
    const later = await linkTo(fresh)
    await open(undo)
    expect((await stranger().get(later)).body).toContain('no longer works')
  })

  test('gives an address that was never proven no way to undo it', async () => {
    await administer(postern, 'update', { account: accountId, email_verified: false })
    await change()
    await open(await linkTo(fresh))
    expect(await mailsTo(postern, old)).toEqual([])
  })

  test('ends the other links of the account', async () => {
    await forget(postern, old)
    const reset = await linkTo(old)
    await changed()
    expect((await stranger().get(reset)).body).toContain('no longer works')
  })

  test('to a taken address looks the same, and only its owner learns why', async () => {
    await postern.createAccount('taken@example.com')
    const [free, taken] = [await change(), await change('taken@example.com')]
    const alike = ({ status, body }: Page) => [status, body.replaceAll(/fresh|[a-z]+@example\.(org|com)/g, '')]
    expect(alike(taken)).toEqual(alike(free))
    const mail = await mailTo(postern, 'taken@example.com')
    expect(mail.link).toBe('')
    expect(mail.text).toContain('already has')
    // Another spelling may be the mailbox of somebody else.
    await change('TAKEN@example.com')
    expect((await mailTo(postern, 'TAKEN@example.com')).to).toBe('taken@example.com')
  })

  test('fails when the address was taken since, and says so', async () => {
    await change()
    const link = await linkTo(fresh)
    await postern.createAccount(fresh)
    const page = await open(link)
    expect([page.status, page.body.includes('has another account')]).toEqual([409, true])
    expect(await account()).toEqual({ email: old, email_verified: true })
  })

  test.each([
    ['was cancelled', async () => visitor.submit(await emailPage(), '/account/email/cancel')],
    ['was replaced by another', () => change('third@example.com')],
    ['was followed by a new password', () => administer(postern, 'set-password', { account: accountId, password })],
    ['belongs to an account that was disabled', () => administer(postern, 'disable', { account: accountId })],
    ['belongs to an account that was signed out', () => administer(postern, 'sign-out', { account: accountId })],
    [
      'belongs to an account with another address',
      () => administer(postern, 'update', { account: accountId, email: 'x@y.example' }),
    ],
    ['has expired', () => postern.database.query('update confirmations set expires_at = now()')],
  ] as const)('that %s does not count', async (_how, end) => {
    await change()
    const link = await linkTo(fresh)
    const form = await visitor.get(link)
    await end()
    const page = await send(visitor, form)
    expect(page.status).toBe(410)
    expect(await account()).not.toEqual({ email: fresh, email_verified: true })
  })

  test('happens once although the link is opened several times at once', async () => {
    await change()
    const link = await linkTo(fresh)
    const { cookies } = visitor
    const browsers = Array.from({ length: 5 }, () => createVisitor(postern.issuer, { cookies: new Map(cookies) }))
    const forms = await Promise.all(browsers.map((browser) => browser.get(link)))
    const pages = await Promise.all(browsers.map((browser, n) => send(browser, forms[n] as Page)))
    expect(pages.map(({ status }) => status).sort()).toEqual([200, 410, 410, 410, 410])
    expect((await mailsTo(postern, old)).map(({ kind }) => kind)).toEqual(['email-changed'])
  })

  test('is sent again on request, three times in a quarter of an hour', async () => {
    await change()
    const again = async () => visitor.submit(await emailPage(), '/account/email/resend')
    expect((await again()).body).toContain('We have sent the link again')
    await again()
    expect([(await again()).status, (await mailsTo(postern, fresh)).length]).toEqual([429, 3])
  })

  test('needs a recent sign-in, an address, and one that is another', async () => {
    expect([(await change('ada')).status, (await change(' ADA@example.com ')).status]).toEqual([400, 400])
    await postern.database.query(
      `update sessions set payload = jsonb_set(payload - 'proofs', '{loginTs}', '1700000000')`,
    )
    expect(new URL((await emailPage()).url).pathname).toMatch(/^\/interaction/)
  })

  test('needs an address that may sign up, while an administrator can give any', async () => {
    const email = 'ada@mail.refused.example'
    const page = await change(email)
    expect([page.status, page.body.includes('That address cannot be used here')]).toEqual([400, true])
    expect(await mailsTo(postern, email)).toEqual([])
    await administer(postern, 'update', { account: accountId, email })
    expect(await account()).toEqual({ email, email_verified: false })
  })

  test('needs a form of this session', async () => {
    for (const action of ['', '/resend', '/cancel', '/verify']) {
      const page = await visitor.post(`/account/email${action}`, { email: fresh, csrf: 'wrong' })
      expect([action, page.status]).toEqual([action, 403])
    }
    expect(await mailsTo(postern, fresh)).toEqual([])
  })
})

describe('an address that was not proven', () => {
  test('is proven by a link', async () => {
    await administer(postern, 'update', { account: accountId, email_verified: false })
    const page = await emailPage()
    expect(page.body).toContain('Not verified')
    await visitor.submit(page, '/account/email/verify')
    await open(await linkTo(old))
    expect(await account()).toEqual({ email: old, email_verified: true })
    expect((await emailPage()).body).toContain('Verified')
  })
})

describe('an invitation', () => {
  const invited = 'grace@example.com'
  const invite = () => administer(postern, 'invite', { email: invited, name: 'Grace', groups: ['staff'] })

  test('creates an account whose owner chooses the password, which proves the address', async () => {
    await invite()
    expect(await canSignIn(postern, invited)).toBe(false)
    const browser = stranger()
    const form = await browser.get(await linkTo(invited))
    expect(form.body).not.toContain('sign_out')
    const done = await send(browser, form, { password: 'nanoseconds of wire' })
    expect(done.body).toContain('Your password is saved')
    expect(await canSignIn(postern, invited, 'nanoseconds of wire')).toBe(true)
    const [row] = await postern.database.query('select email_verified, profile from accounts where email = $1', [
      invited,
    ])
    expect(row).toEqual({ email_verified: true, profile: { name: 'Grace', groups: ['staff'] } })
    await expect(invite()).rejects.toThrow('has a password already')
  })

  test('is sent again by the same command, and works until a password was chosen', async () => {
    await invite()
    const first = await linkTo(invited)
    await invite()
    const second = await linkTo(invited)
    expect(second).not.toBe(first)
    const browser = stranger()
    await send(browser, await browser.get(second), { password: 'nanoseconds of wire' })
    expect((await browser.get(first)).body).toContain('no longer works')
    await expect(administer(postern, 'invite', { email: old })).rejects.toThrow('has a password already')
  })

  test('lets its owner ask for a link like anybody with a forgotten password', async () => {
    await invite()
    await forget(postern, invited)
    const browser = stranger()
    await send(browser, await browser.get(await linkTo(invited)), { password: 'nanoseconds of wire' })
    expect(await canSignIn(postern, invited, 'nanoseconds of wire')).toBe(true)
  })
})
