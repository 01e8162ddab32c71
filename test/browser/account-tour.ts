import type { BrowserContext, Page } from 'playwright-core'

/** The settings with which every page of accounts exists. Without a mail server, mails are on the mailbox page. */
export const accountTourSettings = {
  SIGN_UP: 'open',
  SIGN_IN_BY_CODE: 'true',
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

/** Visits the pages of somebody who signs up, looks at their account, recovers it and leaves. */
export async function takeAccountTour({ issuer, context, page, app, authorize, email, visit }: Stop): Promise<void> {
  const action = (path: string) => page.locator(`form[action*="${path}"] button:not([formaction]):not(.reveal)`).last()
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

  await page.goto(`${issuer}/account`)
  await visit('account', page)
  for (const name of ['profile', 'security', 'apps', 'activity', 'data', 'password']) {
    await page.goto(`${issuer}/account/${name}`)
    await visit(`account-${name}`, page)
  }
  await page.goto(`${issuer}/account/apps`)
  await page.locator('a[href^="/account/apps/remove"]').first().click()
  await visit('account-app-remove', page)

  await page.goto(`${issuer}/account/email`)
  await page.locator('[name=email]').fill(newEmail)
  await page.locator('form[action="/account/email"] button').click()
  await page.locator('form[action="/account/email/resend"]').waitFor()
  await visit('account-email', page)
  const change = await mailTo(newEmail)
  await page.goto(change.link)
  await visit('link-address', page)
  await action('/link/').click()
  await page.locator('a.primary[href="/account"]').waitFor()
  await visit('link-done', page)
  await page.goto(change.link)
  await visit('link-used', page)
  await page.goto((await mailTo(email)).link)
  await visit('link-undo', page)

  await page.goto(authorize({ prompt: 'login' }))
  const signInUrl = page.url()
  await page.locator('[name=email]').fill(newEmail)
  await page.locator('button[formaction$="/recover"]').click()
  await visit('forgot', page)
  await action('/forgot').click()
  await visit('forgot-sent', page)
  await page.goto((await mailTo(newEmail)).link)
  await visit('new-password', page)
  await page.goto(signInUrl)
  await page.locator('[name=email]').fill(newEmail)
  await page.locator('button[formaction$="/send-code"]').click()
  await visit('code', page)

  await page.goto(`${issuer}/account/data`)
  await page.locator('a[href="/account/delete"]').click()
  await visit('account-delete', page)
  await action('/account/delete').click()
  await visit('account-deleted', page)
  await page.locator('a[href="/account"]').click()
  await page.locator('[name=email]').fill(newEmail)
  await page.locator('[name=password]').fill(password)
  await action('/sign-in').click()
  await page.locator('form[action$="/keep"]').waitFor()
  await visit('keep-account', page)
  await action('/keep').click()
  await page.waitForURL(`${issuer}/account`)
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
