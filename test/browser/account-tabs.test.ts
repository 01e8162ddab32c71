import { afterAll, beforeAll, expect, test } from 'vitest'
import { allLanguages } from '../../src/languages/index.ts'
import { launchChromium } from '../support/chromium.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'

let postern: TestPostern
let browser: Awaited<ReturnType<typeof launchChromium>>
beforeAll(async () => {
  postern = await startPostern()
  browser = await launchChromium()
  await postern.createAccount('ada@example.com', { name: 'Ada Lovelace' })
})
afterAll(async () => {
  await browser?.close()
  await postern?.stop()
})

test('the ways to the account pages are in one line on a phone in every language, and none is cut off', async () => {
  const context = await browser.newContext({ viewport: { width: 390, height: 520 } })
  const page = await context.newPage()
  await page.goto(`${postern.issuer}/account`)
  await page.fill('[name=email]', 'ada@example.com')
  await page.fill('[name=password]', password)
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/account$/)
  for (const language of allLanguages) {
    await context.addCookies([{ name: 'postern_language', value: language, url: postern.issuer }])
    for (const width of [390, 320]) {
      await page.setViewportSize({ width, height: 520 })
      await page.goto(`${postern.issuer}/account`)
      const links = await page.$$eval('.tabs a', (all) =>
        all.map((link) => {
          const { top, left, right, height } = link.getBoundingClientRect()
          return { top, left, right, height, isCut: link.scrollWidth > link.clientWidth }
        }),
      )
      const lines = new Set(links.map(({ top }) => Math.round(top))).size
      if (width === 390) expect([language, lines]).toEqual([language, 1])
      for (const { left, right, height, isCut } of links) {
        const seen = { language, width, isInSight: left >= 0 && right <= width, isLarge: height >= 44, isCut }
        expect(seen).toEqual({ language, width, isInSight: true, isLarge: true, isCut: false })
      }
      if (language === 'pl' && width === 320 && process.env['SHOT'])
        await page.screenshot({ path: process.env['SHOT'] })
    }
  }
  await context.close()
})
