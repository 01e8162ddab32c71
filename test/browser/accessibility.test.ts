import { AxeBuilder } from '@axe-core/playwright'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchChromium, watchForComplaints } from '../support/chromium.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { createTour, fetchDocument, type Tour, tourSettings } from './tour.ts'

let postern: TestPostern
let browser: Browser
let tour: Tour

beforeAll(async () => {
  postern = await startPostern(tourSettings, { fetch: fetchDocument })
  tour = await createTour({ ...postern, password })
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  await postern?.stop()
})

const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

describe('WCAG 2.2 AA', () => {
  test.each([
    ['light', 320], // 1.4.10: as narrow as a page magnified four times
    ['dark', 1280],
  ] as const)('no page in %s colours at a width of %d pixels violates a rule', async (colorScheme, width) => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } })
    const complaints = await watchForComplaints(context)
    const violations: Record<string, unknown> = {}
    const visited: string[] = []
    await tour.take(context, async (name, page) => {
      visited.push(name)
      const found = (await new AxeBuilder({ page }).withTags(rules).analyze()).violations
      if (found.length > 0) {
        violations[name] = found.map(({ id, nodes }) => ({ id, at: nodes.map(({ target }) => target.join(' ')) }))
      }
      expect(await overflowOf(page), `${name} scrolls sideways`).toBe(0)
    })
    expect(violations).toEqual({})
    expect(complaints).toEqual([])
    expect(new Set(visited).size).toBeGreaterThanOrEqual(19)
    await context.close()
  })
})

const overflowOf = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
