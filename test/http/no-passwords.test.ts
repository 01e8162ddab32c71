import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPasskey } from '../support/authenticator.ts'
import { mailsTo } from '../support/mailbox.ts'
import { optionsAt, sendPasskey } from '../support/passkey-holder.ts'
import { administer } from '../support/people.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { createVisitor } from '../support/visitor.ts'

const email = 'ada@example.com'
let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern({ PASSWORDS: 'false', SIGN_UP: 'open', SIGN_IN_BY_CODE: 'true' })
  await postern.createAccount(email) // it has a password, from before
})
afterAll(() => postern?.stop())

describe('a deployment without passwords', () => {
  test('has no field for one, and accepts none', async () => {
    const visitor = createVisitor(postern.issuer)
    const page = await visitor.get('/account')
    expect(page.body).not.toContain('type="password"')
    expect(page.body).not.toContain('/recover')
    expect((await visitor.get(`${new URL(page.url).pathname}/sign-up`)).body).not.toContain('type="password"')
    const { pathname } = new URL(page.url)
    const csrf = String(/name="csrf" value="([^"]+)"/.exec(page.body)?.[1])
    const fields = { csrf, uid: String(pathname.split('/')[2]), email, password }
    for (const action of ['/sign-in', '/recover', '/forgot']) {
      expect([action, (await visitor.post(`${pathname}${action}`, fields)).status]).toEqual([action, 404])
    }
    const refused = await visitor.post(`${pathname}/sign-up`, { ...fields, email: 'new@example.com' })
    expect(refused.status).toBe(400)
    expect(await mailsTo(postern, 'new@example.com')).toEqual([])
  })

  test('signs up with a passkey, and has no page to choose a password', async () => {
    const visitor = createVisitor(postern.issuer)
    const { pathname } = new URL((await visitor.get('/account')).url)
    const form = await visitor.get(`${pathname}/sign-up`)
    const code = await visitor.submit(form, '/sign-up', { email: 'grace@example.com', way: 'passkey' })
    const [mail] = await mailsTo(postern, 'grace@example.com')
    const proven = await visitor.submit(code, '/code', { code: String(mail?.code) })
    expect(proven.body).not.toContain('password')
    const passkey = createPasskey(new URL(postern.issuer).origin)
    const done = await sendPasskey(visitor, proven, passkey.register(await optionsAt(visitor, proven)))
    expect(done.url).toBe(`${postern.issuer}/account`)
    expect((await visitor.get('/account/password')).status).toBe(404)
    expect((await visitor.get('/account/security')).body).not.toContain('/account/password')
    expect((await visitor.get('/.well-known/change-password')).url).toBe(`${postern.issuer}/account/security`)
  })

  test('lets an administrator give nobody a password', async () => {
    const [row] = await postern.database.query('select id from accounts where email = $1', [email])
    const account = String(row?.['id'])
    const attempts: [string, object][] = [
      ['create', { email: 'made@example.com', password }],
      ['set-password', { account, password }],
      ['require-password-change', { account }],
      ['invite', { email: 'invited@example.com' }],
    ]
    for (const [verb, input] of attempts) {
      await expect(administer(postern, verb, input), verb).rejects.toThrow('Passwords are switched off')
    }
  })
})
