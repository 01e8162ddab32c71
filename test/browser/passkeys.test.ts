import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { violationsOf } from '../support/accessibility.ts'
import { launchChromium, watchForComplaints } from '../support/chromium.ts'
import { eventually } from '../support/eventually.ts'
import { mailTo } from '../support/mailbox.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { plugIn, type VirtualAuthenticator } from '../support/virtual-authenticator.ts'

const looks = [
  { colorScheme: 'light', width: 320 },
  { colorScheme: 'dark', width: 1280 },
] as const

let postern: TestPostern
let browser: Browser
let page: Page
let authenticator: VirtualAuthenticator
let complaints: string[]
let count = 0
let email: string

beforeAll(async () => {
  postern = await startPostern({ SIGN_UP: 'open' })
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await postern?.stop()
})

const at = (path: string) => `${postern.issuer}${path}`
const path = () => new URL(page.url()).pathname
const button = (name: string) => page.getByRole('button', { name, exact: true })
const signInButton = () => button('Sign in with a passkey')

/** Opens a browser with an authenticator, whose owner has an account with a password and a passkey. */
beforeEach(async () => {
  email = `person-${++count}@example.com`
  await postern.createAccount(email, { name: 'Ada Lovelace' })
  const context = await browser.newContext()
  complaints = await watchForComplaints(context)
  // The authenticator answers at once, also when a passkey is only listed.
  await context.addInitScript(
    `if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => window.name === 'lists'`,
  )
  page = await context.newPage()
  authenticator = await plugIn(page, { isSynced: count === 1 })
  await signInByPassword()
  await page.goto(at('/account/security'))
  await page.getByRole('link', { name: 'Add a passkey' }).click()
  await page.fill('#name', 'My phone')
  await button('Create a passkey').click()
  await page.waitForURL(at('/account/security'))
  return async () => {
    expect(complaints).toEqual([])
    await context.close()
  }
})

async function signInByPassword(): Promise<void> {
  await page.goto(at('/account'))
  await page.fill('#email', email)
  await page.fill('#password', password)
  await button('Sign in').click()
  await page.waitForURL(at('/account'))
}

/** Forgets the session, and opens the sign-in page, which lists passkeys below the field only if `lists`. */
async function openSignIn({ lists = false } = {}): Promise<void> {
  await page.context().clearCookies()
  await page.evaluate(`window.name = '${lists ? 'lists' : ''}'`)
  await page.goto(at('/account'))
}

describe('a person with a passkey', () => {
  test('adds it after a sign-in with a password, and sees it', async () => {
    expect(await page.getByRole('status').first().textContent()).toContain('Your passkey is added.')
    const row = page.locator('#passkeys li')
    expect(await row.textContent()).toMatch(/My phone\s+Synced/)
    expect(await authenticator.credentials()).toMatchObject([{ rpId: 'localhost' }])
    expect(await violationsOf(page, looks)).toEqual({})
    await page.getByRole('link', { name: 'Edit My phone' }).click()
    expect(await violationsOf(page, looks)).toEqual({})
  })

  test('signs in by choosing it below the field, without typing an address', async () => {
    await openSignIn({ lists: true })
    await page.waitForURL(at('/account'))
    expect(await page.textContent('main')).toContain(email)
  })

  test('signs in by the button, and the page says when they did not unlock it', async () => {
    await openSignIn()
    await authenticator.setVerified(false)
    await signInButton().click()
    await page.getByText('No passkey was used.').waitFor()
    expect(await violationsOf(page, looks)).toEqual({})
    await authenticator.setVerified(true)
    await signInButton().click()
    await page.waitForURL(at('/account'))
  })

  test('cannot add the same device twice', async () => {
    await page.goto(at('/account/passkeys/add'))
    await button('Create a passkey').click()
    await page.getByText('has a passkey for your account already').waitFor()
    expect(path()).toBe('/account/passkeys/add')
  })
})

describe('the sign-in page says', () => {
  test('that a removed passkey is not known, and the authenticator forgets it', async () => {
    await postern.database.query('delete from passkeys')
    await openSignIn()
    await signInButton().click()
    await page.getByText('That passkey is not known here.').waitFor()
    expect(path()).toMatch(/^\/interaction\//)
    await eventually(async () => expect(await authenticator.credentials()).toEqual([]))
  })

  test('that the copy of an authenticator could not be used', async () => {
    const [credential] = await authenticator.credentials()
    if (!credential) throw new Error('There is no passkey.')
    await openSignIn()
    await signInButton().click()
    await page.waitForURL(at('/account'))
    await openSignIn()
    await authenticator.turnBack(credential, 0)
    await signInButton().click()
    await page.getByText('That passkey could not be used.').waitFor()
    expect(await violationsOf(page, looks)).toEqual({})
  })

  test('that an answer which was sent before could not be used', async () => {
    await openSignIn()
    const sent = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/passkey'))
    await signInButton().click()
    const response = new URLSearchParams((await sent).postData() ?? '').get('response')
    await page.waitForURL(at('/account'))
    await openSignIn()
    await page.evaluate(`(() => {
      const form = document.querySelector('[data-passkey]').closest('form')
      form.response.value = ${JSON.stringify(response)}
      form.action = document.querySelector('[data-passkey]').dataset.action
      form.submit()
    })()`)
    await page.getByText('That passkey could not be used.').waitFor()
    expect(path()).toMatch(/^\/interaction\//)
  })
})

describe('a person without an account', () => {
  test('signs up with a passkey only, once the address is proven', async () => {
    const address = 'new@example.com'
    await openSignIn()
    await page.getByRole('link', { name: 'Create one' }).click()
    await page.fill('#email', address)
    await button('Use a passkey instead').click()
    await page.fill('#code', (await mailTo(postern, address)).code)
    await page.keyboard.press('Enter')
    await button('Create a passkey').waitFor()
    expect(await violationsOf(page, looks)).toEqual({})
    expect(await postern.database.query('select id from accounts where email = $1', [address])).toEqual([])

    await authenticator.setVerified(false)
    await button('Create a passkey').click()
    await page.getByText('No passkey was created.').waitFor()
    await authenticator.setVerified(true)
    await button('Create a passkey').click()
    await page.waitForURL(at('/account'))
    await page.goto(at('/account/security'))
    expect(await page.textContent('#sign-in')).toContain('You have none.')
    expect(await page.textContent('#passkeys')).toContain('Chromium')
    const held = `select count(*)::int as n from password_credentials p join accounts a on a.id = p.account_id where email = $1`
    expect(await postern.database.query(held, [address])).toEqual([{ n: 0 }])
  })
})
