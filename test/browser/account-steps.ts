import { readFile } from 'node:fs/promises'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { expect } from 'vitest'
import type { Language } from '../../src/languages/index.ts'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { eventually } from '../support/eventually.ts'
import { headerOf, linkIn, type MailServer, type ReceivedMail, textOf } from '../support/mail-server.ts'
import type { Fleet, ServerProcess } from '../support/processes.ts'
import { basic } from '../support/wire.ts'
import type { Hands } from './hands.ts'
import type { NotesApp, Tokens } from './notes-app.ts'

export type Person = {
  email: string
  language: Language
  options: BrowserContextOptions
  hands(page: Page): Hands
}

/** A browser of a person, and the end of it, which looks for complaints. */
export type Journey = { page: Page; hands: Hands; at(path: RegExp): Promise<void>; end(): Promise<void> }

export type Steps = {
  /** Signs up at the app, proves the address by the code in the mail, and consents. */
  signUp(journey: Journey, person: Person, password: string): Promise<void>
  /** Changes the address of the account, and takes the change back by the mail to the previous one. */
  changeAddress(journey: Journey, person: Person): Promise<void>
  /** Forgets the password, chooses another one by the link, and continues at the app. */
  recover(journey: Journey, person: Person, password: string): Promise<void>
  /** Takes back what the app was given, and asks every process for its tokens at once. */
  removeAccess(journey: Journey): Promise<void>
  /** Downloads the export, which contains none of these secrets. */
  exportData(journey: Journey, person: Person, secrets: string[]): Promise<void>
  deleteAccount(journey: Journey): Promise<void>
  /** Comes back by signing in. */
  comeBack(journey: Journey, person: Person, password: string): Promise<void>
}

/** Creates the steps of the journey at a deployment with a mail server and an app. */
export function createSteps({
  fleet,
  mail,
  app,
  client,
}: {
  fleet: Fleet
  mail: MailServer
  app: NotesApp
  client: ClientMetadata
}): Steps {
  const read = new Set<ReceivedMail>()
  /** Waits for the next mail with a link to an address, and returns its link and its code. */
  async function nextMail(to: string, language: Language): Promise<{ link: string; code: string }> {
    const found = await eventually(() => {
      const next = mail.mails.find((one) => one.to.includes(to) && !read.has(one) && textOf(one).includes('/link/'))
      if (!next) throw new Error(`no mail came to ${to}`)
      return next
    })
    read.add(found)
    expect(headerOf(found, 'Content-Language')).toBe(language)
    return { link: linkIn(found, '/link/'), code: /\b\d{6}\b/.exec(textOf(found))?.[0] ?? '' }
  }

  const ask = async (server: ServerProcess, path: string, fields: Record<string, string>) => {
    const response = await server.fetch(`${fleet.issuer}${path}`, {
      method: 'POST',
      headers: { authorization: basic(client.client_id, String(client['client_secret'])) },
      body: new URLSearchParams(fields),
    })
    return (await response.json()) as Record<string, unknown>
  }

  /** Returns whether a process accepts the access token, and the error of a refresh. */
  async function stateOf(tokens: Tokens, server: ServerProcess): Promise<{ active: unknown; error: unknown }> {
    const { active } = await ask(server, '/oauth/introspect', { token: tokens.access })
    const { error } = await ask(server, '/oauth/token', { grant_type: 'refresh_token', refresh_token: tokens.refresh })
    return { active, error }
  }

  async function signUp({ page, hands, at }: Journey, { email, language }: Person, password: string): Promise<void> {
    await page.goto(app.origin)
    await hands.press('a[href="/login"]')
    await at(/^\/interaction\/[^/]+$/)
    await hands.press('a[href$="/sign-up"]')
    await at(/\/sign-up$/)
    await hands.fill('[name=email]', email)
    await hands.fill('[name=name]', 'Ada Lovelace')
    await hands.fill('[name=password]', password)
    await hands.tick('[name=terms]')
    await hands.press('form[action$="/sign-up"] button.primary')
    await at(/\/sign-up\/code$/)
    await hands.fill('[name=code]', (await nextMail(email, language)).code)
    await hands.press('form[action$="/sign-up/code"] button.primary')
    await consent({ page, hands, at })
  }

  async function consent({ page, hands, at }: Pick<Journey, 'page' | 'hands' | 'at'>): Promise<void> {
    await page.locator('form[action$="/consent"]').waitFor()
    await at(/^\/interaction\/[^/]+$/)
    await hands.press('form[action$="/consent"] button[value=allow]')
    await page.waitForURL(`${app.origin}/notes`)
  }

  async function signIn({ page, hands, at }: Journey, email: string, password: string): Promise<void> {
    await page.locator('form[action$="/sign-in"]').waitFor()
    await at(/^\/interaction\/[^/]+$/)
    await hands.fill('[name=email]', email)
    await hands.fill('[name=password]', password)
    await hands.press('form[action$="/sign-in"] button.primary')
  }

  async function changeAddress({ page, hands, at }: Journey, { email, language }: Person): Promise<void> {
    const other = `new-${email}`
    await page.goto(`${fleet.issuer}/account/email`)
    await at(/^\/account\/email$/)
    await hands.fill('form[action="/account/email"] [name=email]', other)
    await hands.press('form[action="/account/email"] button.primary')
    await page.locator('form[action="/account/email/resend"]').waitFor()
    await at(/^\/account\/email$/)

    await page.goto((await nextMail(other, language)).link)
    await at(/^\/link\//)
    await hands.press('form[action^="/link/"] button.primary')
    await page.locator('a.primary[href="/account"]').waitFor()
    await at(/^\/link\//)
    await hands.press('a.primary[href="/account"]')
    await at(/^\/account$/)
    expect(await page.locator('main').innerText()).toContain(other)

    await page.goto((await nextMail(email, language)).link)
    await at(/^\/link\//)
    await hands.press('form[action^="/link/"] button.primary')
    await page.locator('a.primary[href="/account"]').waitFor()
    await at(/^\/link\//)
    const [account] = await fleet.database.query('select email, email_verified from accounts where email = $1', [email])
    expect(account).toEqual({ email, email_verified: true })
    await nextMail(email, language) // a link to another password, because somebody else may have known the old one
  }

  async function recover({ page, hands, at }: Journey, { email, language }: Person, password: string): Promise<void> {
    await page.goto(app.origin)
    await hands.press('a[href="/login"]')
    await page.locator('form[action$="/sign-in"]').waitFor() // the undo signed this browser out
    await at(/^\/interaction\/[^/]+$/)
    await hands.fill('[name=email]', email)
    await hands.press('button[formaction$="/recover"]')
    await at(/\/forgot$/)
    expect(await page.locator('[name=email]').inputValue()).toBe(email)
    await hands.press('form[action$="/forgot"] button.primary')
    await at(/\/forgot-sent$/)
    await page.goto((await nextMail(email, language)).link)
    await at(/^\/link\//)
    await hands.fill('[name=password]', password)
    await hands.press('form[action^="/link/"] button.primary')
    await page.locator('a.primary[href^="/interaction/"]').waitFor()
    await at(/^\/link\//)
    await hands.press('a.primary[href^="/interaction/"]')
    await signIn({ page, hands, at } as Journey, email, password)
    await consent({ page, hands, at })
  }

  async function removeAccess({ page, hands, at }: Journey): Promise<void> {
    const tokens = app.tokens.at(-1) as Tokens
    for (const server of fleet.processes) {
      // Each process has seen the token while it was valid.
      expect(await ask(server, '/oauth/introspect', { token: tokens.access })).toMatchObject({ active: true })
    }
    await page.goto(`${fleet.issuer}/account/apps`)
    await at(/^\/account\/apps$/)
    await hands.press('a[href^="/account/apps/remove"]')
    await at(/^\/account\/apps\/remove$/)
    await hands.press('form[action="/account/apps/remove"] button.destructive')
    await at(/^\/account\/apps$/)
    const removedAt = performance.now()
    const states = await Promise.all(fleet.processes.map((server) => stateOf(tokens, server)))
    const tookMs = performance.now() - removedAt
    expect(states).toEqual(fleet.processes.map(() => ({ active: false, error: 'invalid_grant' })))
    expect(tookMs).toBeLessThan(1000)
    expect(await page.locator('a[href^="/account/apps/remove"]').count()).toBe(0)
  }

  async function exportData({ page, hands, at }: Journey, { email }: Person, secrets: string[]): Promise<void> {
    await page.goto(`${fleet.issuer}/account/data`)
    await at(/^\/account\/data$/)
    const downloading = page.waitForEvent('download')
    await hands.press('form[action="/account/data/export"] button')
    const text = await readFile(await (await downloading).path(), 'utf8')
    const data = JSON.parse(text) as { account: Record<string, unknown> }
    expect(data.account).toMatchObject({ email })
    for (const secret of [...secrets, '$argon2', '$scrypt', 'hash', 'secret']) expect(text).not.toContain(secret)
  }

  async function deleteAccount({ page, hands, at }: Journey): Promise<void> {
    await page.goto(`${fleet.issuer}/account/data`)
    await at(/^\/account\/data$/)
    await hands.press('a[href="/account/delete"]')
    await at(/^\/account\/delete$/)
    await hands.press('form[action="/account/delete"] button.destructive')
    await at(/^\/account\/deleted$/)
  }

  async function comeBack(journey: Journey, { email }: Person, password: string): Promise<void> {
    const { page, hands, at } = journey
    await hands.press('a[href="/account"]')
    await signIn(journey, email, password)
    await page.locator('form[action$="/keep"]').waitFor()
    await at(/^\/interaction\/[^/]+$/)
    await hands.press('form[action$="/keep"] button.primary')
    await at(/^\/account$/)
    const [account] = await fleet.database.query('select deletion_at from accounts where email = $1', [email])
    expect(account).toEqual({ deletion_at: null })
  }

  return { signUp, changeAddress, recover, removeAccess, exportData, deleteAccount, comeBack }
}
