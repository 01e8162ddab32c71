import axe from 'axe-core'
import type { Page } from 'playwright-core'

const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const all = { runOnly: rules, resultTypes: ['violations'] }
const colours = {
  runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] },
  resultTypes: ['violations'],
}

export type Violation = { id: string; at: string[] }

/** The way somebody sees a page. */
export type Look = {
  colorScheme: 'light' | 'dark'
  width: number
  /** The colours are those of the system, which a person with low vision chose. */
  isForced?: boolean
  /** Checks only the rules about colours: the same page passed the others in another look. */
  isOnlyColour?: boolean
}

/** Returns the rules of WCAG 2.2 AA that a page violates as it is. */
export async function violationsIn(page: Page, rulesToRun: object = all): Promise<Violation[]> {
  if (page.frames().length > 1) throw new Error('The page has a frame, and this would not look into it.')
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(axe.source)
  const { violations } = await page.evaluate<axe.AxeResults>(`axe.run(${JSON.stringify(rulesToRun)})`)
  return violations.map(({ id, nodes }) => ({ id, at: nodes.map(({ target }) => target.join(' ')) }))
}

/** Shows a page in each of these looks. Returns the rules of WCAG 2.2 AA that it violates in each. */
export async function violationsOf(page: Page, looks: readonly Look[]): Promise<Record<string, Violation[]>> {
  const found: Record<string, Violation[]> = {}
  for (const { colorScheme, width, isForced = false, isOnlyColour = false } of looks) {
    await page.setViewportSize({ width, height: 900 })
    await page.emulateMedia({ colorScheme, forcedColors: isForced ? 'active' : 'none' })
    await page.evaluate('document.getAnimations().forEach((animation) => animation.finish())') // no colour is in between
    const problems = await violationsIn(page, isOnlyColour ? colours : all)
    const overflow = await page.evaluate<number>(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    )
    if (overflow !== 0) problems.push({ id: 'scrolls sideways', at: [`by ${overflow} pixels`] })
    if (problems.length > 0) found[`${isForced ? 'forced' : colorScheme}, ${width} pixels`] = problems
  }
  return found
}
