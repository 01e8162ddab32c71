import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allLanguages, type Language } from '../../src/languages/index.ts'
import { createViews } from '../../src/views/render.ts'
import { type Look, violationsOf } from '../support/accessibility.ts'
import { launchChromium } from '../support/chromium.ts'
import { examples, formsOf, fullBrand, names } from '../support/page-examples.ts'
import { openStillPages } from './still-pages.ts'

const { render } = createViews({ brand: () => fullBrand })

const looks: readonly Look[] = [
  { colorScheme: 'light', width: 320 },
  { colorScheme: 'dark', width: 1280, isOnlyColour: true },
  { colorScheme: 'light', width: 1280, isForced: true, isOnlyColour: true },
]

// One for each kind of script and direction where time is short: CI runs the drills with --brief.
const languages: readonly Language[] = process.env['POSTERN_TEST_BRIEF'] ? ['en', 'de', 'ja', 'ar'] : allLanguages

/** Each page in this language, and those of its forms whose turn it is: together, the languages show all of them. */
const pagesIn = (language: Language) =>
  names.flatMap((name) =>
    formsOf(name).flatMap((data, index) =>
      index === 0 || index % languages.length === languages.indexOf(language)
        ? [{ name: `${name}-${index}`, html: rendered(language, name, data) }]
        : [],
    ),
  )

const rendered = (language: Language, name: (typeof names)[number], data: object) =>
  render({ language, canChoose: true }, name, { ...examples[name], ...data } as never)

let browser: Browser
beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(() => browser?.close())

describe('WCAG 2.2 AA', () => {
  test.each(languages)('holds for every page in %s, in light, dark and forced colours', async (language) => {
    const context = await browser.newContext()
    const { page, show } = await openStillPages(context)
    const violations: Record<string, unknown> = {}
    for (const { name, html } of pagesIn(language)) {
      await show(html)
      const found = await violationsOf(page, looks)
      if (Object.keys(found).length > 0) violations[name] = found
    }
    expect(violations).toEqual({})
    await context.close()
  })
})
