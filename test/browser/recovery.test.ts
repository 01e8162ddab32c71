import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { violationsOf } from '../support/accessibility.ts'
import { launchChromium, watchForComplaints } from '../support/chromium.ts'
import { eventually } from '../support/eventually.ts'
import { mailTo } from '../support/mailbox.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { takeRecovery } from './recovery-tour.ts'

const email = 'ada@example.com'
const phone = { width: 320, height: 640 }
const looks = [
  { colorScheme: 'light', width: 320 },
  { colorScheme: 'dark', width: 1280 },
] as const

let postern: TestPostern
let browser: Browser

beforeAll(async () => {
  postern = await startPostern({ SIGN_IN_BY_CODE: 'true' })
  await postern.createAccount(email, { name: 'Ada Lovelace' })
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await postern?.stop()
})

const path = (page: Page) => new URL(page.url()).pathname
const focused = (page: Page): Promise<string> =>
  page.evaluate(`document.activeElement.textContent.trim() || document.activeElement.id`)

/** Presses Tab until something has the focus, and then Enter. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 20; presses++) {
    if ((await focused(page)) === name) {
      await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
      return
    }
    await page.keyboard.press('Tab')
  }
  throw new Error(`Nothing called ${name} takes the focus.`)
}

/** Types into the field that has the focus, and sends its form. */
async function enter(page: Page, id: string, text: string): Promise<void> {
  expect(await focused(page)).toBe(id)
  await page.keyboard.type(text)
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
}

describe.each([
  { how: 'with the script', javaScriptEnabled: true, chosen: 'a first password for it' },
  { how: 'without the script', javaScriptEnabled: false, chosen: 'a second password for it' },
])('by the keyboard alone, on a phone, $how', ({ javaScriptEnabled, chosen }) => {
  test('a person forgets the password, chooses another and signs in with it', async () => {
    const context = await browser.newContext({ viewport: phone, javaScriptEnabled })
    const page = await context.newPage()
    await page.goto(`${postern.issuer}/account`)
    expect(await focused(page)).toBe('email')
    await page.keyboard.type(email)
    await tabTo(page, 'Forgot your password?')
    expect(await page.getByLabel('Email').inputValue()).toBe(email)
    await enter(page, 'email', '')
    expect(path(page)).toMatch(/\/forgot-sent$/)
    await page.goto((await mailTo(postern, email)).link)
    await enter(page, 'password', chosen)
    await tabTo(page, 'Continue signing in')
    expect(await page.getByLabel('Email').inputValue()).toBe(email)
    await enter(page, 'password', chosen)
    expect(path(page)).toBe('/account')
    await context.close()
  })

  test('a person signs in with a code', async () => {
    const context = await browser.newContext({ viewport: phone, javaScriptEnabled })
    const page = await context.newPage()
    await page.goto(`${postern.issuer}/account`)
    await expect.poll(() => focused(page)).toBe('email')
    await page.keyboard.type(email)
    await tabTo(page, 'Email me a code instead')
    const { code } = await eventually(async () => {
      const mail = await mailTo(postern, email)
      expect(mail.code).toMatch(/^\d{6}$/)
      return mail
    })
    await enter(page, 'code', code)
    expect(path(page)).toBe('/account')
    await context.close()
  })
})

describe('WCAG 2.2 AA', () => {
  test('no page about passwords, codes, links and addresses violates a rule or scrolls sideways', async () => {
    const context = await browser.newContext({ viewport: phone })
    const complaints = await watchForComplaints(context)
    const violations: Record<string, unknown> = {}
    const site = { ...postern, password, linkTo: async (address: string) => (await mailTo(postern, address)).link }
    await takeRecovery(site, context, async (name, page) => {
      const found = await violationsOf(page, looks)
      if (Object.keys(found).length > 0) violations[name] = found
    })
    expect(violations).toEqual({})
    expect(complaints).toEqual([])
    await context.close()
  })
})
