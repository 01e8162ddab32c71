import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../../src/stores/clients/clients.ts'
import { mailsTo, mailTo } from '../../support/mailbox.ts'
import { administer, canSignIn, press, send } from '../../support/people.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { beginLogin, completeLogin, discover } from '../../support/relying-party.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
let postern: TestPostern
let client: ClientMetadata
let accountId: string

beforeAll(async () => {
  postern = await startPostern({ SIGN_IN_BY_CODE: 'true' })
  client = await postern.createClient()
})
beforeEach(async () => {
  for (const table of ['throttles', 'outbox', 'accounts']) await postern.database.query(`delete from ${table}`)
  accountId = (await postern.createAccount(email)).id
})
afterAll(() => postern?.stop())

const stranger = () => createVisitor(postern.issuer)
async function ask(address = email, visitor = stranger()): Promise<{ visitor: Visitor; page: Page }> {
  return { visitor, page: await press(visitor, await visitor.get('/account'), 'send-code', address) }
}
const isIn = (page: Page) => new URL(page.url).pathname === '/account'
const wrong = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0')
const change = (verb: string, fields: object = {}) => administer(postern, verb, { account: accountId, ...fields })

describe('a code by mail', () => {
  test('signs in the browser that asked for it, once', async () => {
    const { visitor, page } = await ask()
    expect(page.body).toContain('autocomplete="one-time-code"')
    const { code } = await mailTo(postern, email)
    expect(isIn(await visitor.submit(page, '/code', { code: ` ${code.slice(0, 3)} ${code.slice(3)} ` }))).toBe(true)
    const again = await ask()
    expect(isIn(await again.visitor.submit(again.page, '/code', { code }))).toBe(false)
  })

  test('is not logged', async () => {
    const { visitor, page } = await ask()
    const { code } = await mailTo(postern, email)
    await visitor.submit(page, '/code', { code })
    expect(postern.logged.filter((line) => new RegExp(`\\b${code}\\b`).test(line))).toEqual([])
  })

  test('proves the address, and is recorded as a sign-in by mail', async () => {
    await change('update', { email_verified: false })
    const { visitor, page } = await ask()
    await visitor.submit(page, '/code', { code: (await mailTo(postern, email)).code })
    const events = await postern.database.query(
      `select type, details from audit_events where account_id = $1 and type in ('sign_in.succeeded', 'account.email_verified', 'account.password_removed') order by id`,
      [accountId],
    )
    expect(events).toEqual([
      { type: 'account.email_verified', details: {} },
      { type: 'sign_in.succeeded', details: { method: 'mail' } },
      { type: 'account.password_removed', details: {} },
    ])
  })

  test('takes an account whose address was never proven out of the hands of anybody who had it before', async () => {
    await change('update', { email_verified: false })
    const thief = stranger()
    expect(isIn(await thief.signIn(await thief.get('/account'), email))).toBe(true)
    await thief.submit(await thief.get('/account/email'), '/account/email', { email: 'thief@example.net' })
    const { link } = await mailTo(postern, 'thief@example.net')
    await postern.database.query(
      `insert into passkeys values ('p', $1, 'c', 'k', 'h', 0, 'Thief', '{}', '', false, false, now(), null)`,
      [accountId],
    )

    const { visitor, page } = await ask()
    expect(isIn(await visitor.submit(page, '/code', { code: (await mailTo(postern, email)).code }))).toBe(true)

    expect(isIn(await thief.get('/account'))).toBe(false)
    expect(await canSignIn(postern, email)).toBe(false)
    expect((await stranger().get(link)).body).toContain('no longer works')
    expect((await mailTo(postern, email)).kind).toBe('password-removed')
    expect(await postern.database.query('select id from passkeys')).toEqual([])
    // From now on it is an account like any other: a code leaves the password alone.
    const form = await visitor.get('/account/password')
    await send(visitor, form, { password: 'nanoseconds of wire' })
    const again = await ask()
    await again.visitor.submit(again.page, '/code', { code: (await mailTo(postern, email)).code })
    expect(await canSignIn(postern, email, 'nanoseconds of wire')).toBe(true)
  })

  test('keeps the session of the browser where an address is proven for the first time', async () => {
    const visitor = stranger()
    await visitor.signIn(await visitor.get('/account'), email)
    await change('update', { email_verified: false })
    await postern.database.query(
      `update sessions set payload = jsonb_set(payload - 'proofs', '{loginTs}', '1700000000')`,
    )
    const page = await press(visitor, await visitor.get('/account/email'), 'send-code', email)
    const done = await visitor.submit(page, '/code', { code: (await mailTo(postern, email)).code })
    expect(new URL(done.url).pathname).toBe('/account/email')
  })

  test('is worthless in another browser', async () => {
    await ask()
    const { code } = await mailTo(postern, email)
    const other = await ask('nobody@example.com')
    expect(isIn(await other.visitor.submit(other.page, '/code', { code }))).toBe(false)
  })

  test('of five attempts at once with the right code, only one signs in', async () => {
    const { visitor, page } = await ask()
    const { code } = await mailTo(postern, email)
    const pages = await Promise.all(
      Array.from({ length: 5 }, () => visitor.submit(page, '/code', { code }).catch(() => undefined)),
    )
    expect(pages.length).toBe(5)
    const [row] = await postern.database.query(
      `select count(*)::int as n from audit_events where type = 'sign_in.succeeded' and account_id = $1`,
      [accountId],
    )
    expect(row).toEqual({ n: 1 })
  })

  test('ends after five wrong ones', async () => {
    const { visitor, page } = await ask()
    const { code } = await mailTo(postern, email)
    for (let n = 0; n < 5; n++) {
      const refused = await visitor.submit(page, '/code', { code: wrong(code) })
      expect([refused.status, refused.body.includes('That code is not right')]).toEqual([401, true])
    }
    expect(isIn(await visitor.submit(page, '/code', { code }))).toBe(false)
  })

  test('is replaced by the next one', async () => {
    const { visitor, page } = await ask()
    const first = (await mailTo(postern, email)).code
    const again = await visitor.submit(page, '/send-code')
    const second = (await mailTo(postern, email)).code
    if (first !== second) expect(isIn(await visitor.submit(again, '/code', { code: first }))).toBe(false)
    expect(isIn(await visitor.submit(again, '/code', { code: second }))).toBe(true)
  })

  test.each([
    ['expired', () => postern.database.query('update confirmations set expires_at = now()')],
    ['was sent before the address changed', () => change('update', { email: 'countess@example.com' })],
    ['belongs to a disabled account', () => change('disable')],
    ['was sent before the account was signed out everywhere', () => change('sign-out')],
    ['belongs to a deleted account', () => change('delete')],
  ] as const)('that %s signs nobody in', async (_how, end) => {
    const { visitor, page } = await ask()
    const { code, link } = await mailTo(postern, email)
    await end()
    expect(isIn(await visitor.submit(page, '/code', { code }))).toBe(false)
    expect((await visitor.get(link)).body).not.toContain('<form class="stack"')
  })

  test('has an acr and an amr of its own', async () => {
    const config = await discover(postern, client)
    const mailed = 'urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified'
    expect(config.serverMetadata()['acr_values_supported']).toContain(mailed)
    const { page, visitor, verifier, nonce, state } = await beginLogin(config, {
      issuer: postern.issuer,
      claims: '{"id_token":{"acr":null}}',
    })
    const form = await press(visitor, page, 'send-code', email)
    const consent = await visitor.submit(form, '/code', { code: (await mailTo(postern, email)).code })
    const callback = await completeLogin({ page: consent, visitor }, email)
    const checks = { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state }
    const tokens = await oidc.authorizationCodeGrant(config, callback, checks)
    expect(tokens.claims()).toMatchObject({ acr: mailed, sub: accountId })
    const sessions = await postern.database.query(
      `select payload -> 'amr' as amr from sessions where account_id = $1`,
      [accountId],
    )
    expect(sessions).toEqual([{ amr: ['otp'] }])
  })
})

describe('the link beside a code', () => {
  test('signs in the browser that asked for it, when its button is pressed', async () => {
    const { visitor } = await ask()
    const { link } = await mailTo(postern, email)
    for (const method of ['HEAD', 'GET']) await fetch(link, { method, headers: { accept: 'text/html' } })
    const shown = await visitor.get(link)
    expect(isIn(await visitor.submit(shown, '/link'))).toBe(true)
    expect((await visitor.get(link)).body).toContain('This link was used already')
  })

  test('signs no other browser in, and says how to continue', async () => {
    const { visitor, page } = await ask()
    const { link, code } = await mailTo(postern, email)
    const other = stranger()
    const shown = await other.get(link)
    expect([shown.status, shown.body.includes('enter the code')]).toEqual([403, true])
    expect((await other.post(link, {})).status).toBe(403)
    await ask('nobody@example.com', other)
    expect((await other.get(link)).status).toBe(403)
    expect(isIn(await visitor.submit(page, '/code', { code }))).toBe(true)
  })

  test('does not work with the form of another interaction of the same browser', async () => {
    const { visitor, page } = await ask()
    const { link } = await mailTo(postern, email)
    const token = String(link.split('/').at(-1))
    const { page: second } = await ask('nobody@example.com', visitor)
    const uid = String(new URL(second.url).pathname.split('/')[2])
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(second.body) ?? []
    expect(isIn(await visitor.post(`/interaction/${uid}/link`, { uid, csrf, token }))).toBe(false)
    expect(isIn(await send(visitor, page, { code: (await mailTo(postern, email)).code }))).toBe(true)
  })
})

describe('asking for a code', () => {
  test('has a limit for each address, and shows the same page beyond it', async () => {
    const pages = []
    for (let n = 0; n < 6; n++) pages.push((await ask()).page)
    expect(new Set(pages.map(({ status }) => status))).toEqual(new Set([200]))
    expect(await mailsTo(postern, email)).toHaveLength(4)
  })

  test('needs an address', async () => {
    expect((await ask('ada')).page.status).toBe(400)
  })
})
