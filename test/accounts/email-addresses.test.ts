import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { emailAddress } from '../../src/accounts/email-addresses.ts'
import { canonicalEmail } from '../../src/stores/people/accounts.ts'
import { operate } from '../support/operator.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, discover } from '../support/relying-party.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern.stop())

const create = (email: string) => operate(postern, 'account create', { email, password })

/** Whether somebody is signed in who types this address. */
async function signsIn(email: string): Promise<boolean> {
  const config = await discover(postern, await postern.createClient())
  const { visitor, page } = await beginLogin(config, { issuer: postern.issuer })
  return (await visitor.signIn(page, email)).body.includes('Allow')
}

test.each([
  ['josé@bücher.example', ['JOSÉ@BÜCHER.example', 'josé@xn--bcher-kva.example', 'jose\u0301@bu\u0308cher.example']],
  ['ada@xn--mnchen-3ya.example', ['ada@münchen.example', 'Ada@MÜNCHEN.EXAMPLE']],
  ['ada@plain.example', ['ADA@Plain.Example', ' ada@plain.example']],
])('%s signs in by any spelling, and has one account', async (email, spellings) => {
  await create(email)
  for (const spelling of spellings) {
    expect([spelling, await signsIn(spelling)]).toEqual([spelling, true])
    if (spelling.trim() !== spelling) continue
    await expect(create(spelling)).rejects.toThrow('There already is an account')
  }
})

test('an address that only looks like it is another', async () => {
  await create('ada@books.example')
  for (const other of ['аda@books.example', 'ada@bооks.example', 'ada@books.example.']) {
    expect([other, await signsIn(other)]).toEqual([other, false])
  }
})

describe('an email address', () => {
  test.each([
    'ada@example.com/other',
    'ada@example.com?other',
    'ada@example.com#other',
    'ada@example.com\\other',
    'ada@ex%61mple.com',
    'ada@exam\tple.com',
    'ada@exam\u00adple.com',
  ])('is not read as part of a URL: %j', (text) => {
    expect(emailAddress.safeParse(text).success).toBe(false)
    expect(canonicalEmail(text)).not.toBe('ada@example.com')
  })

  test.each([
    'a@b.co',
    "o'hara+x@mail.example.com",
    '用户@例子.广告',
    'josé@bücher.example',
    'a_b@xn--bcher-kva.example',
  ])('can be %s', (text) => expect(emailAddress.safeParse(text).success).toBe(true))

  test.each([
    ['without an at sign', 'ada.example'],
    ['without a domain', 'ada@'],
    ['without a name', '@books.example'],
    ['of a host alone', 'ada@localhost'],
    ['with a space', 'a da@books.example'],
    ['with two at signs', 'ada@x@books.example'],
    ['with a line break', 'ada@books.example\nbcc:x@y.example'],
    ['with a control character', 'a\u0000da@books.example'],
    ['with an invisible character', 'a\u200bda@books.example'],
    ['with a change of direction', 'a\u202eda@books.example'],
    ['with two dots', 'a..da@books.example'],
    ['with a dot at the end', 'ada.@books.example'],
    ['with angle brackets', '<ada@books.example>'],
    ['with a quoted name', '"a da"@books.example'],
    ['of an address', 'ada@[127.0.0.1]'],
    ['of a name that is too long', `${'é'.repeat(33)}@books.example`],
    ['of a domain with a hyphen at its end', 'ada@books-.example'],
  ])('cannot be one %s', (_what, text) => {
    expect(emailAddress.safeParse(text).error?.issues[0]?.message).toMatch(/must be an email address/)
  })
})
