import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { allLanguages, type Language } from '../../src/languages/index.ts'
import { assets } from '../../src/views/assets.ts'
import { createViews } from '../../src/views/render.ts'
import { launchChromium } from '../support/chromium.ts'
import { examples, formsOf, fullBrand, names } from '../support/page-examples.ts'

const narrow = { width: 320, height: 640 } // as narrow as a page magnified four times (WCAG 1.4.10)
const pictures = process.env['PICTURES'] // a folder to write pictures into

const { render } = createViews({ brand: () => fullBrand })
/** Every form of every page, in the language in which it is longest. */
const pages = names.flatMap((name) =>
  formsOf(name).map((data, index) => {
    const inLanguages = allLanguages.map((language) => ({
      language,
      html: render({ language, canChoose: true }, name, { ...examples[name], ...data } as never),
    }))
    const longest = inLanguages.toSorted((one, other) => wordsIn(other.html) - wordsIn(one.html))[0]
    return { name: `${name}-${index}`, html: longest?.html ?? '', language: longest?.language as Language }
  }),
)

/** Returns the room that the words of a page take: the letters of East Asian scripts are twice as wide. */
function wordsIn(html: string): number {
  return html.replace(/<[^>]*>|\s+/g, '').replace(/[\u3000-\u9fff]/g, 'WW').length
}

let browser: Browser
beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(() => browser?.close())

test('no page is wider than a phone in its longest language, from left to right or from right to left', async () => {
  const context = await browser.newContext({ viewport: narrow })
  await context.route('**/*', (route) => {
    const { pathname } = new URL(route.request().url())
    if (pathname === '/') return route.fulfill({ contentType: 'text/html', body: pages[0]?.html ?? '' })
    const path = join(assets, basename(pathname))
    return route.fulfill(pathname.endsWith('.css') && existsSync(path) ? { path } : { status: 404 })
  })
  if (pictures) await mkdir(pictures, { recursive: true })
  const page = await context.newPage()
  const wide: unknown[] = []
  await page.goto('http://pages.test/')
  for (const { name, language, html } of pages) {
    // All pages share their style sheets, so only the body is replaced: loading each would take many times as long.
    await page.evaluate(`document.body = new DOMParser().parseFromString(${JSON.stringify(html)}, 'text/html').body`)
    for (const direction of ['ltr', 'rtl']) {
      await page.evaluate(`document.documentElement.dir = '${direction}'`)
      const found = await overflowing(page)
      if (found.length > 0) wide.push({ name, language, direction, found })
      if (pictures) {
        await page.screenshot({ path: join(pictures, `${name}-${language}-${direction}.png`), fullPage: true })
      }
    }
  }
  expect(wide).toEqual([])
  expect(pages.length).toBeGreaterThan(30)
  await context.close()
})

/** Returns the elements that reach beyond the page, or whose words do not fit into them. */
function overflowing(page: Page): Promise<string[]> {
  return page.evaluate(`(() => {
    const { clientWidth } = document.documentElement
    const isShown = (element) => !element.closest('.visually-hidden, details:not([open]) > form, pre, svg')
    return [...document.body.querySelectorAll('*')].filter(isShown).flatMap((element) => {
      const { left, right, width } = element.getBoundingClientRect()
      const isOutside = width > 0 && (left < -1 || right > clientWidth + 1)
      const isCut = element.matches('button, a, label, summary, h1, h2') && element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
      return isOutside || isCut ? [element.outerHTML.slice(0, 120)] : []
    })
  })()`)
}
