import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createBrand } from '../../src/brand/index.ts'
import { createCompose } from '../../src/mail/compose.ts'
import { composers } from '../../src/mail/letters/index.ts'
import { createMailRenderer, type TextName } from '../../src/mail/render.ts'
import type { Letter, Mail } from '../../src/stores/operations/letters.ts'
import { english } from '../../src/views/texts/index.ts'
import { startPostern, type TestPostern } from '../support/postern.ts'

const issuer = 'https://id.example.com'
const brand = createBrand({
  ISSUER: issuer,
  BRAND_NAME: 'Ängström & Söhne',
  BRAND_SUPPORT_EMAIL: 'help@example.com',
  BRAND_PRIVACY_URL: 'https://example.com/privacy',
})
const render = createMailRenderer({ issuer, brand })
const names = Object.keys(english.mail.letters) as TextName[]

describe.each(names)('the mail %s', (text) => {
  const values = {
    account: 'Ada <i>Lovelace</i> (a•••@example.com)',
    newEmail: 'new@example.com',
    device: 'Firefox <b>on</b> Linux',
    at: new Date('2026-11-27T12:00:00Z'),
    name: 'Telephone <b>on</b> Linux',
  }
  const link = 'https://id.example.com/link/a-token'
  const hasLink = 'action' in english.mail.letters[text]
  const mail = render(
    { text, values, ...(hasLink && { link }), code: '123456', lifetimeSeconds: 900 },
    { to: 'ada@example.com', language: 'en' },
  )

  test('says the same in text and in HTML, with every placeholder filled in', () => {
    for (const form of [mail.subject, mail.text, mail.html]) {
      expect(form).not.toMatch(/\{\w+\}|undefined|\[object|Invalid|Postern/)
    }
    expect(mail.subject).not.toMatch(/[\r\n]/)
    expect(mail.subject.length).toBeLessThan(75)
    const { title } = english.mail.letters[text]
    for (const form of [mail.text, mail.html]) {
      expect(form).toContain(title)
      expect(form).toContain('help@example.com')
      expect(form).toContain('https://example.com/privacy')
      expect(form.includes(link)).toBe(hasLink)
    }
  })

  test('loads nothing from elsewhere, runs no script and escapes what people typed', () => {
    expect(mail.html).not.toMatch(/<script|<img|<link|@import|url\(|<b>on/)
    expect(mail.html).toContain('Ängström &amp; Söhne')
    expect(mail.text).toContain('Ängström & Söhne')
  })
})

test('every text of mails is in some mail', () => {
  const sentences = Object.values(english.mail).filter((text) => typeof text === 'string')
  const all = names
    .map((text) =>
      render({ text, link: 'https://id.example.com/x', code: '1' }, { to: 'a@example.com', language: 'en' }),
    )
    .map(({ html }) => html)
    .join()
  for (const sentence of sentences) expect(all).toContain(sentence.split('{')[0])
  expect(new Set(Object.keys(composers)).size).toBe(18)
})

describe('the mail of a letter', () => {
  let postern: TestPostern
  beforeAll(async () => {
    postern = await startPostern()
    await postern.createAccount('Ada@example.com', { locale: 'en-GB' })
    const off = await postern.createAccount('off@example.com')
    await postern.database.query('update accounts set disabled_at = now() where id = $1', [off.id])
  })
  afterAll(() => postern?.stop())

  const compose = (letter: Letter): Promise<Mail | undefined> => {
    const { database, compose: make } = postern.server.postern
    return database.db.transaction().execute((tx) => make(tx, letter))
  }
  const browserHash = Buffer.alloc(32, 7).toString('base64url')

  test('goes to the address of the account, and not to another spelling of it', async () => {
    const mail = await compose({ kind: 'password-reset', to: 'ADA@EXAMPLE.com' })
    expect(mail).toMatchObject({ to: 'Ada@example.com', language: 'en' })
    expect(mail?.text).toMatch(new RegExp(`${postern.issuer}/link/[\\w-]{43}\n`))
    expect(mail?.text).toContain('15 minutes')
  })

  test('is in the language of the account, whatever it is about', async () => {
    const { id: accountId } = await postern.createAccount('emmy@example.com', { locale: 'de' })
    const at = new Date().toISOString()
    const letters: Letter[] = [
      { kind: 'email-change', to: 'new@example.com', accountId },
      { kind: 'email-changed', to: 'emmy@example.com', accountId, newEmail: 'new@example.com' },
      { kind: 'password-reset', to: 'emmy@example.com' },
      { kind: 'password-changed', to: 'emmy@example.com', accountId, at },
      { kind: 'sign-in-code', to: 'emmy@example.com', browserHash },
      { kind: 'invitation', to: 'emmy@example.com', accountId },
      { kind: 'account-deletion-scheduled', to: 'emmy@example.com', accountId, at },
      { kind: 'new-sign-in', to: 'emmy@example.com', accountId, at },
    ]
    const made = await Promise.all(letters.map(async (letter) => [letter.kind, (await compose(letter))?.language]))
    expect(made).toEqual(letters.map(({ kind }) => [kind, 'de']))
  })

  test.each(['nobody@example.com', 'off@example.com'])('is not made for %s, who cannot sign in', async (to) => {
    expect(await compose({ kind: 'password-reset', to })).toBeUndefined()
    expect(await compose({ kind: 'sign-in-code', to, browserHash })).toBeUndefined()
  })

  test('tells the owner of an address that it already has an account, and gives no code', async () => {
    const taken = await compose({ kind: 'sign-up', to: 'ada@EXAMPLE.com', account: {}, browserHash })
    expect(taken).toMatchObject({ to: 'Ada@example.com', subject: 'You already have an account at Postern' })
    const free = await compose({ kind: 'sign-up', to: 'new@example.com', account: { name: 'New' }, browserHash })
    expect(free?.subject).toMatch(/^\d{6} is your code for Postern$/)
    expect(free?.text).not.toContain('New,') // a stranger's words do not reach somebody else's mailbox
  })

  test('has a link and a code, and the database has only their hashes', async () => {
    await postern.database.query('delete from confirmations')
    const mail = await compose({ kind: 'sign-in-code', to: 'ada@example.com', browserHash })
    const token = /\/link\/([\w-]{43})/.exec(mail?.text ?? '')?.[1] ?? ''
    const code = /^(\d{6}) /.exec(mail?.subject ?? '')?.[1] ?? ''
    const rows = await postern.database.query('select * from confirmations')
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({ purpose: 'sign-in', code_hash: expect.any(Buffer) })
    expect(JSON.stringify(rows)).not.toContain(token)
    expect(JSON.stringify(rows)).not.toContain(code)
  })

  test('is not made if it cannot be: a composer gets nothing but its letter', async () => {
    const make = createCompose({
      invitationSeconds: 604_800,
      issuer,
      render,
      confirmWith: () => () => Promise.reject(new Error('The database is away.')),
      defaultLanguage: 'en',
      directory: undefined,
    })
    const { db } = postern.server.postern.database
    const made = db.transaction().execute((tx) => make(tx, { kind: 'password-reset', to: 'ada@example.com' }))
    await expect(made).rejects.toThrow('The database is away.')
  })
})
