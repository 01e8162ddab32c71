import type { BrowserContext, Page } from 'playwright-core'

/** A server that mails codes, and the means to add an account and to read its mails. */
export type MailedSite = {
  issuer: string
  password: string
  createAccount(email: string, profile: Record<string, unknown>): Promise<unknown>
  linkTo(email: string): Promise<string>
}

let people = 0 // each tour has a person of its own, since mails to one address have a limit

/** Visits every page about forgotten passwords, codes, links and addresses. */
export async function takeRecovery(
  { issuer, password, createAccount, linkTo }: MailedSite,
  context: BrowserContext,
  visit: (name: string, page: Page) => Promise<void>,
): Promise<void> {
  const number = ++people
  const [email, fresh] = [`ada@example${number}.com`, `countess@example${number}.com`]
  await createAccount(email, { name: 'Ada Lovelace' })
  const page = await context.newPage()
  const press = (name: string) =>
    Promise.all([page.waitForNavigation(), page.getByRole('button', { name, exact: true }).click()])

  await page.goto(`${issuer}/account`)
  const signInUrl = page.url()
  await page.getByLabel('Email').fill('ada')
  await press('Forgot your password?')
  await press('Send the link')
  await visit('forgot', page)
  await page.getByLabel('Email').fill(email)
  await press('Send the link')
  await visit('forgot-sent', page)
  const link = await linkTo(email)
  await page.goto(link)
  await page.getByLabel('New password').fill('password123')
  await press('Save the password')
  await visit('new-password', page)
  await page.getByLabel('New password').fill(password)
  await press('Save the password')
  await visit('link-done', page)
  await page.goto(link)
  await visit('link-end', page)

  await page.goto(signInUrl)
  await page.getByLabel('Email').fill(email)
  await press('Email me a code instead')
  await page.getByLabel('Code').fill('000000')
  await press('Sign in')
  await visit('code', page)
  await page.goto(await linkTo(email))
  await visit('link-sign-in', page)
  await press('Continue')

  await page.goto(`${issuer}/account/password`)
  await visit('password-change', page)
  await page.goto(`${issuer}/account/email`)
  await page.getByLabel('New address').fill(fresh)
  await press('Send the link')
  await visit('account-email', page)
  const confirm = await linkTo(fresh)
  await page.goto(confirm)
  await visit('link-email', page)
  await context.clearCookies()
  await page.goto(confirm)
  await visit('link-email-sign-in', page)
}
