import type { BrowserContext, Page } from 'playwright-core'

/** Settings that let people sign up. Without a mail server, mails are on the mailbox page. */
export const signUpTourSettings = {
  SIGN_UP: 'open',
  TERMS_VERSION: '2026-11',
  BRAND_TERMS_URL: 'https://notes.example/terms',
}

export type Stop = {
  issuer: string
  context: BrowserContext
  page: Page
  /** The origin of the app, and the address of a request for sign-in there. */
  app: string
  authorize(parameters?: Record<string, string>): string
  /** The address of somebody who has no account yet. */
  email: string
  visit(name: string, page: Page): Promise<void>
}

const password = 'rosemary for remembrance'

/** Visits the pages of somebody who signs up and whose address changes, and those that show their mails. */
export async function takeSignUpTour({ issuer, context, page, app, authorize, email, visit }: Stop): Promise<void> {
  const action = (path: string) =>
    page.locator(`form[action*="${path}"] button:not([formaction]):not(.reveal):not([name=way])`).last()
  const newEmail = `new-${email}`
  const opened = new Set<string>()

  await page.goto(authorize({ scope: 'openid profile email offline_access', prompt: 'consent' }))
  await page.locator('a[href$="/sign-up"]').click()
  await visit('sign-up', page)
  await page.locator('[name=email]').fill(email)
  await page.locator('[name=name]').fill('Grace Hopper')
  await page.locator('[name=password]').fill('password123')
  await page.locator('[name=terms]').check()
  await action('/sign-up').click()
  await visit('sign-up-error', page)
  await page.locator('[name=password]').fill(password)
  await page.locator('[name=terms]').check()
  await action('/sign-up').click()
  await visit('sign-up-code', page)
  const proof = await mailTo(email, { isVisited: true })
  const signUpUrl = page.url()
  await page.goto(proof.link)
  await visit('link-sign-up', page)
  await page.goto(signUpUrl)
  await page.locator('[name=code]').fill(proof.code)
  await action('/sign-up/code').click()
  await page.locator('button[value=allow]').click()
  await page.waitForURL(`${app}/**`)

  await page.goto(`${issuer}/account/email`)
  await page.locator('[name=email]').fill(newEmail)
  await page.locator('form[action="/account/email"] button').click()
  await page.goto((await mailTo(newEmail)).link)
  await action('/link/').click()
  await page.locator('a.primary[href="/account"]').waitFor()
  await page.goto((await mailTo(email)).link)
  await visit('link-undo', page)
  await context.clearCookies()

  /** Opens the newest mail to an address that has a link, in another tab. */
  async function mailTo(to: string, { isVisited = false } = {}): Promise<{ link: string; code: string }> {
    const tab = await context.newPage()
    for (;;) {
      await tab.goto(`${issuer}/mailbox`)
      const listed = await tab.evaluate<{ href: string; words: string[] }[]>(`
        [...document.querySelectorAll('main li')].map((row) => ({ href: row.querySelector('a').href, words: row.innerText.split(/\\s+/) }))`)
      const unread = listed.find(({ href, words }) => words.includes(to) && !opened.has(href))
      if (!unread) continue // the letter is not a mail yet
      opened.add(unread.href)
      if (isVisited) await visit('mailbox', tab)
      await tab.goto(unread.href)
      const links = tab.locator('.mail a[href*="/link/"]')
      if ((await links.count()) === 0) continue
      if (isVisited) await visit('mailbox-mail', tab)
      const link = String(await links.first().getAttribute('href'))
      const code = /\b\d{6}\b/.exec(await tab.locator('h1').innerText())?.[0] ?? ''
      await tab.close()
      return { link, code }
    }
  }
}
