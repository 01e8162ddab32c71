import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { violationsOf } from '../support/accessibility.ts'
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

const looks = [
  { colorScheme: 'light', width: 320 }, // 1.4.10: as narrow as a page magnified four times
  { colorScheme: 'dark', width: 1280 },
  { colorScheme: 'dark', width: 1280, isForced: true, isOnlyColour: true },
] as const

describe('WCAG 2.2 AA', () => {
  test('no page violates a rule or scrolls sideways, in light colours at 320 pixels, in dark ones at 1280, or in forced ones', async () => {
    const context = await browser.newContext({ viewport: { width: looks[0].width, height: 900 } })
    const complaints = await watchForComplaints(context)
    const violations: Record<string, unknown> = {}
    const visited: string[] = []
    await tour.take(context, async (name, page) => {
      visited.push(name)
      const found = await violationsOf(page, looks)
      if (Object.keys(found).length > 0) violations[name] = found
    })
    expect(violations).toEqual({})
    expect(complaints).toEqual([])
    expect(new Set(visited).size).toBeGreaterThanOrEqual(45)
    await context.close()
  })
})
