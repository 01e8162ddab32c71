import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { linkIn, type MailServer, startMailServer, textOf } from '../../support/mail-server.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

let mail: MailServer
let postern: TestPostern
beforeAll(async () => {
  mail = await startMailServer()
  postern = await startPostern({
    SIGN_UP: 'open',
    SIGN_UP_REFUSED_DOMAINS: 'evil.example, *.evil.example',
    SIGN_UPS_PER_NETWORK_PER_HOUR: '40',
    TERMS_VERSION: '2026-11',
    BRAND_TERMS_URL: 'https://example.com/terms',
    SMTP_URL: mail.url,
    MAIL_FROM: 'no-reply@example.com',
  })
  await postern.createAccount('taken@example.com')
})
afterAll(async () => {
  await postern?.stop()
  await mail?.stop()
})

const good = { name: 'Ada Lovelace', password: 'rosemary for remembrance', terms: 'accepted' }

/** Opens the sign-up page, as a person does who was sent to sign in. */
async function opened(visitor: Visitor = createVisitor(postern.issuer)): Promise<{ visitor: Visitor; page: Page }> {
  const signIn = await visitor.get('/account')
  expect(signIn.body).toContain(`${new URL(signIn.url).pathname}/sign-up`)
  return { visitor, page: await visitor.get(`${signIn.url}/sign-up`) }
}

async function codeFor(email: string): Promise<string> {
  return /\b\d{6}\b/.exec(textOf(await mail.mailTo(email)))?.[0] ?? ''
}

const accountsOf = (email: string) =>
  postern.database.query('select email_verified, profile, terms_version from accounts where email = $1', [email])

describe('Somebody without an account', () => {
  test('gets one by proving their address, and returns signed in to where they came from', async () => {
    const { visitor, page } = await opened()
    const asked = await visitor.submit(page, '/sign-up', { ...good, email: 'ada@example.com' })
    expect(new URL(asked.url).pathname).toMatch(/\/sign-up\/code$/)
    expect(asked.body).toContain('ada@example.com')
    expect(await accountsOf('ada@example.com')).toEqual([])

    const code = await codeFor('ada@example.com')
    const wrong = await visitor.submit(asked, '/code', { code: code === '000000' ? '000001' : '000000' })
    expect([wrong.status, await accountsOf('ada@example.com')]).toEqual([400, []])
    const done = await visitor.submit(wrong, '/code', { code: `${code.slice(0, 3)} ${code.slice(3)}` })
    expect([done.status, new URL(done.url).pathname]).toEqual([200, '/account'])
    expect(await accountsOf('ada@example.com')).toEqual([
      { email_verified: true, profile: { name: 'Ada Lovelace', locale: 'en' }, terms_version: '2026-11' },
    ])
    // The code works once, and the password from now on.
    const again = await visitor.submit(wrong, '/code', { code })
    expect(again.status).not.toBe(200)
    const other = createVisitor(postern.issuer)
    const signedIn = await other.signIn(await other.get('/account'), 'ada@example.com', good.password)
    expect(new URL(signedIn.url).pathname).toBe('/account')
  })

  test('is led to the sign-up page by an app that asks for it', async () => {
    const visitor = createVisitor(postern.issuer)
    const client = await postern.createClient()
    const query = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: String([client['redirect_uris']].flat()[0]),
      scope: 'openid',
      prompt: 'create',
      login_hint: 'grace@example.com',
      code_challenge: createHash('sha256').update('v').digest('base64url'),
      code_challenge_method: 'S256',
    })
    const page = await visitor.get(`${postern.issuer}/oauth/authorize?${query}`)
    expect(page.body).toContain('value="grace@example.com"')
    const signIn = await visitor.submit(page, '/switch')
    expect(signIn.body).toContain('autocomplete="current-password"')
    const asked = await visitor.submit(page, '/sign-up', { ...good, email: 'grace@example.com' })
    const done = await visitor.submit(asked, '/code', { code: await codeFor('grace@example.com') })
    expect(done.body).toContain('/consent"')
    const discovery = await (await fetch(`${postern.issuer}/.well-known/openid-configuration`)).json()
    expect(discovery).toMatchObject({ prompt_values_supported: expect.arrayContaining(['create', 'login', 'none']) })
  })

  test.each([
    ['no address', { email: '' }, 'Something is missing'],
    ['no password', { password: '' }, 'Something is missing'],
    ['an address that is none', { email: 'ada' }, 'That email address is incomplete'],
    ['an address of a refused domain', { email: 'ada@mail.evil.example' }, 'cannot be used here'],
    ['terms that are not accepted', { terms: '' }, 'Please accept the terms'],
    ['a short password', { password: 'r0semry' }, 'too short'],
    ['a long password', { password: 'rosemary '.repeat(30) }, 'too long'],
    ['a common password', { password: 'password123' }, 'Too many people use'],
    ['a password made of the address', { password: 'newcomer@example.com' }, 'easy to guess'],
    ['a password made of the name of the service', { password: 'postern1!' }, 'easy to guess'],
  ])('learns what is wrong with %s, and loses nothing else', async (_case, wrong, title) => {
    const { visitor, page } = await opened()
    const refused = await visitor.submit(page, '/sign-up', { ...good, email: 'newcomer@example.com', ...wrong })
    expect([refused.status, new URL(refused.url).pathname]).toEqual([400, new URL(page.url).pathname])
    expect(refused.body).toContain(title)
    expect(refused.body).toContain(`value="Ada Lovelace"`)
    expect(refused.body).not.toContain(`value="${good.password}"`)
  })

  test('can use the link of the mail instead, once, in the browser that asked for it', async () => {
    const { visitor, page } = await opened()
    await visitor.submit(page, '/sign-up', { ...good, email: 'link@example.com' })
    const link = linkIn(await mail.mailTo('link@example.com'), '/link/')
    const elsewhere = await createVisitor(postern.issuer).get(link)
    expect([elsewhere.status, elsewhere.body.includes('Continue where you started')]).toEqual([403, true])
    expect((await fetch(link, { method: 'HEAD' })).status).toBe(200)
    const confirm = await visitor.get(link)
    expect(await accountsOf('link@example.com')).toEqual([])
    const done = await visitor.submit(confirm, '/sign-up/link')
    expect(new URL(done.url).pathname).toBe('/account')
    expect(await accountsOf('link@example.com')).toHaveLength(1)
    expect((await visitor.get(link)).status).toBe(410)
  })

  test('gets an account whatever their name contains, without the characters that hide or turn text', async () => {
    const { visitor, page } = await opened()
    const name = ' Grace\0 \u202eHopper\u2028 '
    const asked = await visitor.submit(page, '/sign-up', { ...good, name, email: 'hidden@example.com' })
    const done = await visitor.submit(asked, '/code', { code: await codeFor('hidden@example.com') })
    expect(new URL(done.url).pathname).toBe('/account')
    expect(await accountsOf('hidden@example.com')).toMatchObject([{ profile: { name: 'Grace Hopper' } }])
  })

  test('cannot use the code of somebody else’s browser', async () => {
    const [one, other] = [await opened(), await opened()]
    await one.visitor.submit(one.page, '/sign-up', { ...good, email: 'one@example.com' })
    const code = await codeFor('one@example.com')
    const asked = await other.visitor.submit(other.page, '/sign-up', { ...good, email: 'two@example.com' })
    await codeFor('two@example.com')
    expect((await other.visitor.submit(asked, '/code', { code })).status).toBe(400)
    expect(await accountsOf('one@example.com')).toEqual([])
  })

  test('cannot guess: five wrong codes are the last, even if the right one follows', async () => {
    const { visitor, page } = await opened()
    const asked = await visitor.submit(page, '/sign-up', { ...good, email: 'five@example.com' })
    const code = await codeFor('five@example.com')
    for (const guess of Array.from({ length: 5 }, (_, n) =>
      String((Number(code) + n + 1) % 1_000_000).padStart(6, '0'),
    ))
      expect((await visitor.submit(asked, '/code', { code: guess })).status).toBe(400)
    expect((await visitor.submit(asked, '/code', { code })).status).toBe(400)
    expect(await accountsOf('five@example.com')).toEqual([])
  })

  test('gets one account from a code that is sent twice at once', async () => {
    const { visitor, page } = await opened()
    const asked = await visitor.submit(page, '/sign-up', { ...good, email: 'twice@example.com' })
    const code = await codeFor('twice@example.com')
    const answers = await Promise.all([1, 2, 3].map(() => visitor.submit(asked, '/code', { code })))
    expect(answers.filter(({ url }) => new URL(url).pathname === '/account')).toHaveLength(1)
    expect(await accountsOf('twice@example.com')).toHaveLength(1)
  })
})

test('An address that has an account gets a mail that says so, and the page is the same', async () => {
  const pages: string[] = []
  for (const email of ['taken@example.com', 'fresh@example.com']) {
    const { visitor, page } = await opened()
    postern.statements.splice(0)
    const asked = await visitor.submit(page, '/sign-up', { ...good, email })
    const wrong = await visitor.submit(asked, '/code', { code: '000000' })
    const same = (text: string) =>
      text
        .replaceAll(email, 'EMAIL')
        .replace(/name="(csrf|uid)" value="[^"]*"/g, '')
        .replace(/\/interaction\/[\w-]+/g, '')
    pages.push(JSON.stringify([asked, wrong].map(({ status, body }) => [status, same(body)])))
  }
  expect(pages[0]).toBe(pages[1])
  expect(textOf(await mail.mailTo('taken@example.com'))).not.toMatch(/\b\d{6}\b/)
  expect(await accountsOf('taken@example.com')).toHaveLength(1)
})

describe('Signing up that is not open', () => {
  test.each(['closed', 'invitation'])('has no page, no link and no prompt: %s', async (mode) => {
    const closed = await startPostern({ SIGN_UP: mode })
    try {
      const visitor = createVisitor(closed.issuer)
      const signIn = await visitor.get('/account')
      expect(signIn.body).not.toContain('/sign-up')
      expect((await visitor.get(`${signIn.url}/sign-up`)).status).toBe(404)
      const prompted = await visitor.get(
        `/oauth/authorize?client_id=postern-account&response_type=code&scope=openid&prompt=create&code_challenge=${'a'.repeat(43)}&code_challenge_method=S256&redirect_uri=${encodeURIComponent(`${closed.issuer}/account/callback`)}`,
      )
      expect(prompted.body).not.toContain('new-password')
    } finally {
      await closed.stop()
    }
  })
})

describe('Above the rate of a network', () => {
  test('a sign-up has to be proven by work or by waiting, once each', async () => {
    const strict = await startPostern({ SIGN_UP: 'open', SIGN_UPS_PER_NETWORK_PER_HOUR: '1' })
    try {
      const visitor = createVisitor(strict.issuer)
      const signIn = await visitor.get('/account')
      const form = { ...good, email: 'ada@example.com' }
      const first = await visitor.get(`${signIn.url}/sign-up`)
      expect(first.body).not.toContain('data-challenge')
      expect((await visitor.submit(first, '/sign-up', form)).url).toMatch(/\/code$/)

      const second = await visitor.get(`${signIn.url}/sign-up`)
      const challenge = /data-challenge="([^"]+)"/.exec(second.body)?.[1] ?? ''
      expect((await visitor.submit(second, '/sign-up', { ...form, answer: '1' })).body).toContain('One more moment')
      const answer = solve(challenge)
      expect((await visitor.submit(second, '/sign-up', { ...form, challenge, answer })).url).toMatch(/\/code$/)
      expect((await visitor.submit(second, '/sign-up', { ...form, challenge, answer })).url).not.toMatch(/\/code$/)
    } finally {
      await strict.stop()
    }
  })

  test('forms that are sent at once without proof are no more than the rate', async () => {
    const strict = await startPostern({ SIGN_UP: 'open', SIGN_UPS_PER_NETWORK_PER_HOUR: '1' })
    try {
      const visitor = createVisitor(strict.issuer)
      const page = await visitor.get(`${(await visitor.get('/account')).url}/sign-up`)
      const send = (email: string) => visitor.submit(page, '/sign-up', { ...good, email })
      await Promise.all(['a', 'b', 'c', 'd'].map((name) => send(`${name}@example.com`)))
      expect(await strict.database.query(`select count(*)::int as n from outbox`)).toEqual([{ n: 1 }])
    } finally {
      await strict.stop()
    }
  })
})

function solve(challenge: string): string {
  for (let answer = 0; ; answer++) {
    const hash = createHash('sha256').update(`${challenge}.${answer}`).digest()
    if (hash.readUInt32BE(0) >>> 14 === 0) return String(answer)
  }
}
