import type { Page } from 'playwright-core'
import { expect } from 'vitest'

/** The way a person uses a page. Elements are named by selectors, never by their words, so one journey serves every language. */
export type Hands = {
  /** Writes into a field, in place of its content. */
  fill(selector: string, text: string): Promise<void>
  /** Turns a box to this state. */
  tick(selector: string, isOn?: boolean): Promise<void>
  /** Presses a button or follows a link. */
  press(selector: string): Promise<void>
}

export const withMouse = (page: Page): Hands => ({
  fill: (selector, text) => page.locator(selector).fill(text),
  tick: (selector, isOn = true) => page.locator(selector).setChecked(isOn),
  press: (selector) => page.locator(selector).first().click(),
})

const mostTabs = 80

/** Uses only Tab, Shift and Tab, Enter, the space bar and letters. Every element on the way shows that it has the focus. */
export function withKeyboard(page: Page): Hands {
  const { keyboard } = page
  const focused = (selector: string) =>
    page.evaluate<{ matches: boolean; isSeen: boolean; isNowhere: boolean; text: string }>(`(() => {
      const element = document.activeElement
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element)
      const { top, bottom, width } = element.getBoundingClientRect()
      const isNowhere = element === document.body
      return {
        matches: element === document.querySelector(${JSON.stringify(selector)}),
        isNowhere,
        isSeen: isNowhere || ((outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none') && width > 0 && bottom > 0 && top < innerHeight,
        text: element.outerHTML.slice(0, 200),
      }
    })()`)

  async function reach(selector: string): Promise<void> {
    await page.locator(selector).first().waitFor()
    for (let presses = 0; presses < mostTabs; presses++) {
      const { matches, isSeen, text } = await focused(selector)
      expect(isSeen, `the focus is not seen at ${text}`).toBe(true)
      if (matches) return
      await keyboard.press('Tab')
    }
    // The same way backwards, so that nothing is a trap in either direction.
    for (let presses = 0; presses < mostTabs; presses++) {
      await keyboard.press('Shift+Tab')
      if ((await focused(selector)).matches) return
    }
    throw new Error(`The focus never came to ${selector} at ${page.url()}.`)
  }

  return {
    async fill(selector, text) {
      await reach(selector)
      const length = Number(await page.evaluate('document.activeElement.value.length'))
      await keyboard.press('End')
      for (let deleted = 0; deleted < length; deleted++) await keyboard.press('Backspace')
      await keyboard.type(text)
    },
    async tick(selector, isOn = true) {
      await reach(selector)
      if ((await page.locator(selector).isChecked()) !== isOn) await keyboard.press('Space')
      expect(await page.locator(selector).isChecked()).toBe(isOn)
    },
    async press(selector) {
      await reach(selector)
      await keyboard.press('Enter')
    },
  }
}
