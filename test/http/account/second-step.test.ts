import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { codeOf, stepAt } from '../../../src/authentication/totp.ts'
import { addApp } from '../../support/factors.ts'
import { mailsTo } from '../../support/mailbox.ts'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Page, type Visitor } from '../../support/visitor.ts'

const email = 'ada@example.com'
let postern: TestPostern
let visitor: Visitor
let accountId: string

beforeAll(async () => {
  postern = await startPostern({ SECOND_FACTOR_GROUPS: 'admins', SECOND_FACTOR_GRACE_SECONDS: '3600' })
})
beforeEach(async () => {
  for (const table of ['throttles', 'outbox', 'accounts']) await postern.database.query(`delete from ${table}`)
  accountId = (await postern.createAccount(email)).id
  visitor = createVisitor(postern.issuer)
})
afterAll(() => postern?.stop())

const open = async () => {
  await visitor.signIn(await visitor.get('/account'), email)
  return visitor.get('/account/security')
}
/** Returns the code that an app would show that took the secret from the page. */
function codeFrom(page: Page): string {
  const text = /class="secret"[^>]*>([A-Z2-7 ]+)</.exec(page.body)?.[1] ?? ''
  const bits = [...text.replaceAll(' ', '')].map((letter) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
  )
  const bytes = bits.join('').match(/.{8}/g) ?? []
  return codeOf(Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2))), stepAt(Date.now()))
}
const codesOn = (page: Page) => [...page.body.matchAll(/<li><code>([^<]+)<\/code>/g)].map(([, code]) => code)
const pathOf = (page: Page) => new URL(page.url).pathname.replace(/^\/interaction\/[^/]+/, '')

describe('the second step at /account/security', () => {
  test('is set up with the code of an app, which shows recovery codes once and mails a notice', async () => {
    const page = await visitor.submit(await open(), '/authenticator/begin', {})
    expect(pathOf(page)).toBe('/account/authenticator')
    expect(page.body).toContain('<svg class="qr"')
    const wrong = await visitor.submit(page, '/account/authenticator', { code: '000000' })
    expect(wrong.status).toBe(400)
    const done = await visitor.submit(wrong, '/account/authenticator', { code: codeFrom(wrong) })
    expect(new Set(codesOn(done)).size).toBe(10)
    const after = await visitor.get('/account/security')
    expect(after.body).toContain('10 left')
    expect(codesOn(after)).toEqual([])
    expect((await mailsTo(postern, email)).some(({ subject }) => subject.includes('second step'))).toBe(true)
  })

  test('makes new codes, which end the earlier ones, and is removed again', async () => {
    const page = await visitor.submit(await open(), '/authenticator/begin', {})
    const first = codesOn(await visitor.submit(page, '/account/authenticator', { code: codeFrom(page) }))
    const renewed = await visitor.submit(await visitor.get('/account/security'), '/account/recovery-codes', {})
    expect(codesOn(renewed)).toHaveLength(10)
    expect(codesOn(renewed).filter((code) => first.includes(code))).toEqual([])
    const left = await postern.database.query('select count(*)::int as n from recovery_codes where used_at is null')
    expect(left).toEqual([{ n: 10 }])
    const removed = await visitor.submit(await visitor.get('/account/security'), '/authenticator/remove', {})
    expect(removed.body).toContain('The authenticator app is removed.')
    const [rows] = await postern.database.query(
      'select (select count(*) from totp_secrets)::int + (select count(*) from recovery_codes)::int as n',
    )
    expect(rows).toEqual({ n: 0 })
  })

  test('cannot be set up by a sign-in that is not recent', async () => {
    const page = await open()
    await postern.database.query(
      `update sessions set payload = jsonb_set(payload - 'proofs', '{loginTs}', '1700000000') where account_id is not null`,
    )
    const asked = await visitor.submit(page, '/authenticator/begin', {})
    expect(asked.body).toContain('name="password"')
    expect(await postern.database.query('select * from totp_secrets')).toEqual([])
  })

  test('is not there without a sign-in, and its secret is not shown again once it is confirmed', async () => {
    await addApp(postern, accountId)
    expect((await visitor.get('/account/authenticator')).body).toContain('name="password"')
  })
})

describe('a person who needs a second factor', () => {
  beforeEach(async () => {
    await postern.database.query(`update accounts set profile = profile || '{"groups": ["admins"]}' where id = $1`, [
      accountId,
    ])
  })
  const begin = async () => visitor.signIn(await visitor.get('/account'), email)

  test('sets it up before anything else, sees the recovery codes, and is in', async () => {
    const page = await begin()
    expect(pathOf(page)).toBe('/enrol')
    const app = await visitor.submit(page, '/enrol/begin', {})
    const wrong = await visitor.submit(app, '/enrol/app', { code: '000000' })
    expect(wrong.status).toBe(400)
    const codes = await visitor.submit(wrong, '/enrol/app', { code: codeFrom(wrong) })
    expect(codesOn(codes)).toHaveLength(10)
    const [row] = await postern.database.query('select count(*)::int as n from sessions where account_id is not null')
    expect(row).toEqual({ n: 0 })
    const next = /href="(\/interaction\/[^"]+)"/.exec(codes.body)?.[1] ?? ''
    expect(pathOf(await visitor.get(next))).toBe('/account')
  })

  test('can put it off, until the time is over', async () => {
    const page = await begin()
    expect(pathOf(await visitor.submit(page, '/enrol/later', {}))).toBe('/account')
    await postern.database.query(`update accounts set second_factor_due_at = now() - interval '1 minute'`)
    visitor = createVisitor(postern.issuer)
    const later = await begin()
    expect(pathOf(later)).toBe('/enrol')
    expect(later.body).not.toContain('/enrol/later')
  })
})
