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

/** Returns whether a person who types this address gets signed in. */
async function signsIn(email: string): Promise<boolean> {
  const config = await discover(postern, await postern.createClient())
  const { visitor, page } = await beginLogin(config, { issuer: postern.issuer })
  return (await visitor.signIn(page, email)).body.includes('value="allow"')
}

test.each([
  ['josé@bücher.example', ['JOSÉ@BÜCHER.example', 'josé@xn--bcher-kva.example', 'jose\u0301@bu\u0308cher.example']],
  ['ada@xn--mnchen-3ya.example', ['ada@münchen.example', 'Ada@MÜNCHEN.EXAMPLE']],
  ['ada@plain.example', ['ADA@Plain.Example', ' ada@plain.example']],
])('%s signs in with any spelling of the address, and has one account', async (email, spellings) => {
  await create(email)
  for (const spelling of spellings) {
    expect([spelling, await signsIn(spelling)]).toEqual([spelling, true])
    if (spelling.trim() !== spelling) continue
    await expect(create(spelling)).rejects.toThrow('There already is an account')
  }
})

test('an address that merely looks the same belongs to nobody', async () => {
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
  ])('is not parsed as part of a URL: %j', (text) => {
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
    ['has no at sign', 'ada.example'],
    ['has no domain', 'ada@'],
    ['has no name', '@books.example'],
    ['has a single label as its domain', 'ada@localhost'],
    ['has a space', 'a da@books.example'],
    ['has two at signs', 'ada@x@books.example'],
    ['has a line break', 'ada@books.example\nbcc:x@y.example'],
    ['has a control character', 'a\u0000da@books.example'],
    ['has an invisible character', 'a\u200bda@books.example'],
    ['changes the direction of text', 'a\u202eda@books.example'],
    ['has two dots in a row', 'a..da@books.example'],
    ['has a dot at the end of its name', 'ada.@books.example'],
    ['has angle brackets', '<ada@books.example>'],
    ['has a quoted name', '"a da"@books.example'],
    ['has an IP address as its domain', 'ada@[127.0.0.1]'],
    ['has a name that is too long', `${'é'.repeat(33)}@books.example`],
    ['has a domain with a hyphen at the end of a label', 'ada@books-.example'],
  ])('is rejected if it %s', (_what, text) => {
    expect(emailAddress.safeParse(text).error?.issues[0]?.message).toMatch(/must be an email address/)
  })
})
