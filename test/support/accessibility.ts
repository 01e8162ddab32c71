import axe from 'axe-core'
import type { Page } from 'playwright-core'

const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const options = JSON.stringify({ runOnly: rules, resultTypes: ['violations'] })

export type Violation = { id: string; at: string[] }

/** The way somebody sees a page. */
export type Look = { colorScheme: 'light' | 'dark'; width: number }

/** Returns the rules of WCAG 2.2 AA that a page violates as it is. */
export async function violationsIn(page: Page): Promise<Violation[]> {
  if (page.frames().length > 1) throw new Error('The page has a frame, and this would not look into it.')
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<axe.AxeResults>(`axe.run(${options})`)
  return violations.map(({ id, nodes }) => ({ id, at: nodes.map(({ target }) => target.join(' ')) }))
}

/** Shows a page in each of these looks. Returns the rules of WCAG 2.2 AA that it violates in each. */
export async function violationsOf(page: Page, looks: readonly Look[]): Promise<Record<string, Violation[]>> {
  const found: Record<string, Violation[]> = {}
  for (const { colorScheme, width } of looks) {
    await page.setViewportSize({ width, height: 900 })
    await page.emulateMedia({ colorScheme })
    await page.evaluate('document.getAnimations().forEach((animation) => animation.finish())') // no colour is in between
    const all = await violationsIn(page)
    const overflow = await page.evaluate<number>(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    )
    if (overflow !== 0) all.push({ id: 'scrolls sideways', at: [`by ${overflow} pixels`] })
    if (all.length > 0) found[`${colorScheme}, ${width} pixels`] = all
  }
  return found
}
