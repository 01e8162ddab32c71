import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mailsTo, mailTo } from '../../support/mailbox.ts'
import { administer, canSignIn, forget, send } from '../../support/people.ts'
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

async function linkFor(address = email): Promise<string> {
  await forget(postern, address)
  return (await mailTo(postern, address)).link
}

const choose = (visitor: Visitor, page: Page, fields = {}) =>
  send(visitor, page, { password: chosen, sign_out: 'yes', ...fields })

const stranger = () => createVisitor(postern.issuer)

describe('a person who forgot their password', () => {
  test('gets a link, chooses another one and continues the sign-in where they began it', async () => {
    const { visitor, page } = await forget(postern, email)
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
    expect(await canSignIn(postern, email, password)).toBe(false)
    expect((await mailsTo(postern, email)).map(({ kind }) => kind)).toEqual(['password-changed', 'password-reset'])
  })
})

describe('a link to choose a password', () => {
  test('is not used up by a mail scanner that opens it', async () => {
    const link = await linkFor()
    for (const method of ['GET', 'HEAD', 'GET']) {
      const answer = await fetch(link, { method, headers: { accept: 'text/html' } })
      expect([method, answer.status]).toEqual([method, 200])
    }
    const { status } = await fetch(link, { headers: { 'sec-purpose': 'prefetch' } })
    expect(status).toBe(503)
    const visitor = stranger()
    expect((await choose(visitor, await visitor.get(link))).body).toContain('Your password is saved')
  })

  test('signs out everywhere when it is the first proof of the address, whatever the form says', async () => {
    await administer(postern, 'update', { account: accountId, email_verified: false })
    const thief = stranger()
    await thief.signIn(await thief.get('/account'), email)
    const visitor = stranger()
    const form = await visitor.get(await linkFor())
    expect(form.body).not.toContain('sign_out')
    await choose(visitor, form, { sign_out: [] })
    expect(new URL((await thief.get('/account')).url).pathname).not.toBe('/account')
    expect([await canSignIn(postern, email), await canSignIn(postern, email, chosen)]).toEqual([false, true])
  })

  test('works once, and in another browser leads to the account', async () => {
    const link = await linkFor()
    const [first, second] = [stranger(), stranger()]
    const [one, other] = [await first.get(link), await second.get(link)]
    const done = await choose(first, one)
    expect(done.body).toContain('Your password is saved')
    expect(done.body).toContain('href="/account"')
    expect(done.body).not.toContain('href="/interaction/')
    const again = await choose(second, other, { password: 'and a third password here' })
    expect([again.status, again.body.includes('This link was used already')]).toEqual([410, true])
    expect((await second.get(link)).status).toBe(410)
    expect(await canSignIn(postern, email, chosen)).toBe(true)
  })

  test('of two at once only one works', async () => {
    const link = await linkFor()
    const visitors = Array.from({ length: 6 }, stranger)
    const forms = await Promise.all(visitors.map((visitor) => visitor.get(link)))
    const ends = await Promise.all(
      visitors.map((visitor, n) => choose(visitor, forms[n] as Page, { password: `password number ${n} of six` })),
    )
    expect(ends.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(ends.filter(({ status }) => status === 410)).toHaveLength(5)
    const [changes] = await postern.database.query(
      `select count(*)::int as n from audit_events where type = 'account.password_changed' and account_id = $1`,
      [accountId],
    )
    expect(changes?.['n']).toBe(1)
  })

  const ends: [reason: string, text: string, (link: string) => Promise<unknown>][] = [
    [
      'has expired',
      'This link has expired',
      () => postern.database.query(`update confirmations set expires_at = now()`),
    ],
    ['belongs to a changed address', 'no longer works', () => change('update', { email: 'countess@example.com' })],
    ['belongs to a disabled account', 'no longer works', () => change('disable')],
    ['belongs to an account that was signed out everywhere', 'no longer works', () => change('sign-out')],
    [
      'belongs to an account whose password was set since',
      'no longer works',
      () => change('set-password', { password: chosen }),
    ],
    ['belongs to a deleted account', 'do not know this link', () => change('delete')],
  ]
  test.each(ends)('that %s says so, and chooses nothing', async (_reason, text, end) => {
    const link = await linkFor()
    const visitor = stranger()
    const form = await visitor.get(link)
    await end(link)
    const shown = await visitor.get(link)
    expect(shown.body).toContain(text)
    expect(shown.body).not.toContain('new-password')
    const sent = await choose(visitor, form, { password: 'something nobody chose' })
    expect(sent.body).toContain(text)
    expect([404, 410]).toContain(sent.status)
    expect(await canSignIn(postern, email, 'something nobody chose')).toBe(false)
  })

  test('ends when the person asks for another one in the same browser, or chooses a password by another', async () => {
    const first = await linkFor()
    const second = await linkFor()
    const visitor = stranger()
    await choose(visitor, await visitor.get(second), { sign_out: [] })
    expect((await visitor.get(first)).body).toContain('no longer works')
  })

  test.each(['a'.repeat(43), 'abc', 'a%3B%20domain=example.com', '%C3%A9', '%00'])(
    'that nobody made is not known: %s',
    async (token) => {
      for (const page of [await stranger().get(`/link/${token}`), await stranger().post(`/link/${token}`, {})]) {
        expect([page.status, page.body.includes('We do not know this link')]).toEqual([404, true])
        expect(page.headers.getSetCookie().filter((line) => /domain/i.test(line))).toEqual([])
      }
    },
  )

  test('is not logged', async () => {
    const link = await linkFor()
    const visitor = stranger()
    await choose(visitor, await visitor.get(link))
    const token = String(link.split('/').at(-1))
    expect(postern.logged.filter((line) => line.includes(token))).toEqual([])
    expect(postern.logged.some((line) => line.includes('/link/:id'))).toBe(true)
  })

  test('rejects a form that another site sends', async () => {
    const link = await linkFor()
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': '', origin: 'https://evil.example' },
    ]) {
      const page = await stranger().post(link, { password: chosen }, headers)
      expect(page.status).toBe(403)
    }
    expect(await canSignIn(postern, email, chosen)).toBe(false)
  })

  test('rejects a password that breaks a rule, and says which', async () => {
    const link = await linkFor()
    const visitor = stranger()
    const refusals = {
      short: 'too short',
      [`${'long '.repeat(60)}`]: 'too long',
      password123: 'Many people use this password',
      'ada lovelace': 'mostly your name or address',
      '': 'too short',
    }
    for (const [refused, text] of Object.entries(refusals)) {
      const page = await choose(visitor, await visitor.get(link), { password: refused })
      expect([refused, page.status]).toEqual([refused, 400])
      expect(page.body).toContain(text)
      expect(page.body).toContain('aria-invalid="true"')
    }
    expect((await choose(visitor, await visitor.get(link))).body).toContain('Your password is saved')
  })
})

describe('a new password', () => {
  test('ends every sign-in, unless the person unticks it', async () => {
    const other = stranger()
    await other.signIn(await other.get('/account'), email)
    const isIn = async () => new URL((await other.get('/account')).url).pathname === '/account'
    const visitor = stranger()
    await choose(visitor, await visitor.get(await linkFor()), { sign_out: [] })
    expect(await isIn()).toBe(true)
    await choose(visitor, await visitor.get(await linkFor()), { password: 'yet another password' })
    expect(await isIn()).toBe(false)
  })

  test('makes a mail to the owner, and proves the address', async () => {
    await change('update', { email_verified: false })
    const visitor = stranger()
    await choose(visitor, await visitor.get(await linkFor()))
    expect((await mailTo(postern, email)).subject).toContain('was changed')
    const [row] = await postern.database.query('select email_verified from accounts')
    expect(row).toEqual({ email_verified: true })
    const events = await postern.database.query(
      `select type, details from audit_events where account_id = $1 and type like 'account.%' order by id desc limit 2`,
      [accountId],
    )
    expect(events).toEqual([
      { type: 'account.password_changed', details: { origin: 'reset', signed_out: true } },
      { type: 'account.email_verified', details: {} },
    ])
  })
})

describe('asking for a link', () => {
  test('needs an address', async () => {
    const { page } = await forget(postern, 'ada')
    expect([page.status, page.body.includes('Enter an email address')]).toEqual([400, true])
  })

  test('is answered alike when too many were requested, and sends no more', async () => {
    const answers = []
    for (let n = 0; n < 5; n++) answers.push((await forget(postern, email)).page)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(await mailsTo(postern, email)).toHaveLength(3)
  })

  test('is not offered where the settings switch it off', async () => {
    const closed = await startPostern({ PASSWORD_RECOVERY: 'false' })
    try {
      const visitor = createVisitor(closed.issuer)
      const signIn = await visitor.get('/account')
      expect(signIn.body).not.toContain('Forgot your password')
      expect((await visitor.get(`${new URL(signIn.url).pathname}/forgot`)).status).toBe(404)
    } finally {
      await closed.stop()
    }
  })
})

/** Does something with the account that an administrator can do. */
const change = (verb: string, fields: object = {}) => administer(postern, verb, { account: accountId, ...fields })
