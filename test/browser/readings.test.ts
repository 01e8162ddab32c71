import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ViewName, Views } from '../../src/views/pages/index.ts'
import { createViews } from '../../src/views/render.ts'
import { launchChromium } from '../support/chromium.ts'
import { email, examples, fullBrand, noLinks, openid, published } from '../support/page-examples.ts'
import { readAloud } from './screen-reader.ts'
import { openStillPages } from './still-pages.ts'

const { render } = createViews({ brand: () => fullBrand })

let browser: Browser
beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(() => browser?.close())

const readings: { [Name in ViewName]?: Record<string, Partial<Views[Name]>> } = {
  'sign-up': {
    'sign-up': { termsUrl: 'https://acme.example/terms' },
    'sign-up-error': { email: 'ada@example.com', name: 'Ada', error: 'common', termsUrl: 'https://acme.example/terms' },
  },
  'sign-up-code': { 'sign-up-code': {} },
  consent: {
    consent: {},
    'consent-one': { scopes: [openid], claims: [], resources: [] },
    'consent-error': { error: 'nothing-granted' },
    'consent-document': {
      client: { ...published, ...noLinks },
      scopes: [openid, email, { ...openid, name: 'offline_access' }],
      claims: [],
      resources: [],
    },
  },
}

describe('A screen reader', () => {
  const all = Object.entries(readings).flatMap(([name, forms]) =>
    Object.entries(forms).map(([reading, data]) => ({ reading, name: name as ViewName, data })),
  )

  test.each(all)('reads $reading as its file says', async ({ reading, name, data }) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    const { page, show } = await openStillPages(context)
    await show(render({ language: 'en', canChoose: true }, name, { ...examples[name], ...data } as never))
    await expect(await readAloud(page)).toMatchFileSnapshot(`readings/${reading}.txt`)
    await context.close()
  })
})
