import * as oidc from 'openid-client'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allLanguages, languages } from '../../src/languages/index.ts'
import { launchChromium, watchForComplaints } from '../support/chromium.ts'
import { type FrontDoor, openFrontDoor } from '../support/front-door.ts'
import { headerOf, type MailServer, startMailServer } from '../support/mail-server.ts'
import { type Fleet, startFleet } from '../support/processes.ts'
import { createSteps, type Journey, type Person, type Steps } from './account-steps.ts'
import { withKeyboard, withMouse } from './hands.ts'
import { type NotesApp, startNotesApp } from './notes-app.ts'

let mail: MailServer
let fleet: Fleet
let door: FrontDoor
let app: NotesApp
let steps: Steps
let browser: Browser
/** The subject of each person whose account is about to end, by address. */
const formerSubjects = new Map<string, string>()

beforeAll(async () => {
  mail = await startMailServer()
  app = await startNotesApp()
  fleet = await startFleet({
    SIGN_UP: 'open',
    TERMS_VERSION: '2026-11',
    BRAND_TERMS_URL: 'https://example.com/terms',
    SMTP_URL: mail.url,
    MAIL_FROM: 'Postern <no-reply@example.com>',
  })
  door = await openFrontDoor(
    Number(new URL(fleet.issuer).port),
    fleet.processes.map(({ port }) => port),
  )
  const client = await fleet.createClient({
    client_name: 'Field Notes',
    client_uri: app.origin,
    redirect_uris: [`${app.origin}/callback`],
  })
  app.use(
    await oidc.discovery(new URL(fleet.issuer), client.client_id, String(client['client_secret']), undefined, {
      execute: [oidc.allowInsecureRequests],
    }),
  )
  steps = createSteps({ fleet, mail, app, client })
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await door?.stop()
  await app?.stop()
  await fleet?.stop()
  await mail?.stop()
})

const rightToLeft = allLanguages.find((language) => (languages[language] as string) === 'rtl') ?? 'de'

// biome-ignore format: it is a table
const people: [string, Person][] = [
  ['with script, on a desktop, in English', { email: 'ada@example.com', language: 'en', hands: withMouse,
    options: { viewport: { width: 1280, height: 900 } } }],
  ['without script, on a phone, in German', { email: 'emmy@example.com', language: 'de', hands: withMouse,
    options: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, javaScriptEnabled: false } }],
  ['by keyboard alone, from right to left', { email: 'maryam@example.com', language: rightToLeft, hands: withKeyboard,
    options: { viewport: { width: 1280, height: 900 } } }],
]

/** Opens a browser. `at` waits for a page, and looks at what every page must have. */
async function open({ language, options, hands }: Person): Promise<Journey> {
  const context = await browser.newContext({ ...options, locale: language })
  const complaints = await watchForComplaints(context)
  const page = await context.newPage()
  return {
    page,
    hands: hands(page),
    async at(path) {
      await page.waitForURL((url) => url.origin === fleet.issuer && path.test(url.pathname), { waitUntil: 'load' })
      const { lang, dir, overflow, headings } = await page.evaluate<Record<string, unknown>>(`(() => {
        const { lang, dir, scrollWidth, clientWidth } = document.documentElement
        return { lang, dir, overflow: scrollWidth - clientWidth, headings: document.querySelectorAll('h1').length }
      })()`)
      expect({ at: path, lang, dir, overflow, headings }).toEqual({
        at: path,
        lang: language,
        dir: languages[language],
        overflow: 0,
        headings: 1,
      })
      expect(complaints).toEqual([])
    },
    async end() {
      expect(complaints).toEqual([])
      await context.close()
    },
  }
}

describe('A person runs their own account, from sign-up to the end,', () => {
  test.each(people)('%s', async (_who, person) => {
    const { email } = person
    const [first, second] = ['rosemary for remembrance', 'pansies, that’s for thoughts']
    const journey = await open(person)
    await steps.signUp(journey, person, first)
    const subject = String(app.tokens.at(-1)?.subject)
    await steps.changeAddress(journey, person)
    await steps.recover(journey, person, second)
    const { access = '', refresh = '', ...last } = app.tokens.at(-1) ?? {}
    expect(last).toEqual({ subject })
    await steps.removeAccess(journey)
    await steps.exportData(journey, person, [first, second, access, refresh])
    await steps.deleteAccount(journey)
    await steps.comeBack(journey, person, second)
    await steps.deleteAccount(journey)
    await journey.end()
    await fleet.database.query(`update accounts set deletion_at = now() - interval '1 second' where email = $1`, [
      email,
    ])
    formerSubjects.set(email, subject)
  })

  test('and both processes served them', () => {
    expect(door.connections.every((count) => count > 0)).toBe(true)
  })

  test.each(people)(
    'and is nobody to the server afterwards, so the address can sign up again: %s',
    async (_who, person) => {
      const { email } = person
      expect([...formerSubjects.keys()]).toContain(email)
      await expect.poll(() => fleet.database.query('select id from accounts where email = $1', [email])).toEqual([])
      const journey = await open(person)
      await steps.signUp(journey, person, 'there is fennel for you')
      await journey.end()
      const languagesOfMails = mail.mails
        .filter(({ to }) => to.includes(email))
        .map((one) => headerOf(one, 'Content-Language'))
      expect(languagesOfMails).toEqual(languagesOfMails.map(() => person.language))
      expect(app.tokens.at(-1)?.subject).not.toBe(formerSubjects.get(email))
    },
  )
})
