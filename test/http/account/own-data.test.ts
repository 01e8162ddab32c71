import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostern, type TestPostern } from '../../support/postern.ts'
import { createVisitor, type Visitor } from '../../support/visitor.ts'

let postern: TestPostern
beforeAll(async () => {
  postern = await startPostern()
})
afterAll(() => postern?.stop())

async function person(email: string): Promise<Visitor> {
  await postern.createAccount(email, { name: 'Ada Lovelace', locale: 'en' })
  const visitor = createVisitor(postern.issuer)
  await visitor.signIn(await visitor.get('/account'), email)
  return visitor
}

const localeOf = async (email: string) =>
  (await postern.database.query(`select profile->>'locale' as locale from accounts where email = '${email}'`))[0]?.[
    'locale'
  ]

const choose = (visitor: Visitor, language: string, page: string) =>
  visitor.post('/language', { language }, { referer: `${postern.issuer}${page}` })

const languageIn = (html: string) => /<html[^>]* lang="([^"]+)"/.exec(html)?.[1]

describe('the language of an account', () => {
  test('is the one that its owner chooses by the menu, so that mails follow', async () => {
    const visitor = await person('menu@example.com')
    expect(languageIn((await choose(visitor, 'de', '/account')).body)).toBe('de')
    expect(await localeOf('menu@example.com')).toBe('de')
  })

  test('does not change when somebody who is signed out chooses one', async () => {
    await person('stays@example.com')
    await choose(createVisitor(postern.issuer), 'fr', '/')
    expect(await localeOf('stays@example.com')).toBe('en')
  })

  test('chosen in the profile wins over one that was chosen by the menu before', async () => {
    const visitor = await person('both@example.com')
    await choose(visitor, 'de', '/account/profile')
    const profile = await visitor.get('/account/profile')
    expect(languageIn(profile.body)).toBe('de')
    const saved = await visitor.submit(profile, '/profile', { locale: 'pl' })
    expect(languageIn(saved.body)).toBe('pl')
    expect(languageIn((await visitor.get('/account/profile')).body)).toBe('pl')
    expect(await localeOf('both@example.com')).toBe('pl')
  })
})

describe('the file of a person’s data', () => {
  test('has the terms, the password’s last change, and the links that were sent, without a secret', async () => {
    const visitor = await person('file@example.com')
    await postern.database.query(
      `update accounts set terms_version = '2026-11', terms_accepted_at = now() where email = 'file@example.com'`,
    )
    const change = await visitor.get('/account/email')
    await visitor.submit(change, '/email', { email: 'next@example.com' })
    await expect
      .poll(() => postern.database.query(`select 1 from confirmations where email = 'next@example.com'`), {
        timeout: 10_000,
      })
      .toHaveLength(1)
    const [row] = await postern.database.query(
      `select encode(id_hash, 'hex') as hash from confirmations where email = 'next@example.com'`,
    )
    const file = await visitor.submit(await visitor.get('/account/data'), '/export')
    const data = JSON.parse(file.body)
    expect(data.account.terms).toEqual({ version: '2026-11', accepted_at: expect.any(String) })
    expect(data.password).toEqual({ changed_at: expect.any(String) })
    expect(data.account.created_at).toEqual(expect.any(String))
    expect(data.address_change.email).toBe('next@example.com')
    expect(data.confirmations).toEqual([
      {
        purpose: 'email-change',
        email: 'next@example.com',
        created_at: expect.any(String),
        expires_at: expect.any(String),
      },
    ])
    expect(data.confirmations[0]).not.toHaveProperty('data')
    expect(file.body).not.toContain(String(row?.['hash']))
  })
})
