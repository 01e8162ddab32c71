import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { violationsIn } from '../support/accessibility.ts'
import { launchChromium, watchForComplaints } from '../support/chromium.ts'
import { serveParts } from './parts.ts'

let browser: Browser
let served: Awaited<ReturnType<typeof serveParts>>

beforeAll(async () => {
  served = await serveParts()
  browser = await launchChromium()
})
afterAll(async () => {
  await browser?.close()
  served?.stop()
})

async function open(options: Parameters<Browser['newContext']>[0], path = '/'): Promise<[Page, string[]]> {
  const context = await browser.newContext(options)
  const complaints = await watchForComplaints(context)
  const page = await context.newPage()
  await page.goto(`${served.origin}${path}`)
  return [page, complaints]
}

describe('the parts of pages', () => {
  test.each([
    ['light colours', { colorScheme: 'light' }, 1280, '/'],
    ['dark colours', { colorScheme: 'dark' }, 320, '/'],
    ['more contrast', { contrast: 'more' }, 1280, '/'],
    ['forced colours', { forcedColors: 'active' }, 390, '/'],
    ['another direction', {}, 320, '/?dir=rtl'],
  ] as const)('violate no rule of WCAG 2.2 AA in %s, and fit the screen', async (_name, options, width, path) => {
    const [page, complaints] = await open({ ...options, viewport: { width, height: 900 } }, path)
    expect(await violationsIn(page)).toEqual([])
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
    expect(await page.evaluate(overflow)).toBe(0)
    expect(complaints).toEqual([])
    await page.context().close()
  })

  test('tell the main button and an invalid field from others in forced colours, too', async () => {
    const [page] = await open({ forcedColors: 'active' })
    const style = (selector: string, property: string) =>
      page.evaluate(`getComputedStyle(document.querySelector('${selector}')).${property}`)
    expect(await style('.primary', 'backgroundColor')).not.toBe(await style('.button:not(.primary)', 'backgroundColor'))
    expect(await style('#mail', 'borderBlockStartStyle')).not.toBe(await style('#name', 'borderBlockStartStyle'))
    await page.context().close()
  })

  test('do not move for a reader who asked for less motion', async () => {
    const [page] = await open({ reducedMotion: 'reduce' })
    const moving = `[...document.querySelectorAll('*')].filter((e) =>
      getComputedStyle(e).transitionDuration !== '0s' || getComputedStyle(e, '::after').animationName !== 'none').length`
    await page.evaluate(`document.querySelector('.button').setAttribute('aria-busy', 'true')`)
    expect(await page.evaluate(moving)).toBe(0)
    await page.context().close()
  })
})

describe('the script', () => {
  test('shows a password and hides it again', async () => {
    const [page, complaints] = await open({})
    const field = page.getByLabel('Current password')
    const toggle = page.locator('.reveal').first()
    await field.fill('secret words')
    await toggle.click()
    expect(await field.getAttribute('type')).toBe('text')
    expect(await toggle.getAttribute('aria-pressed')).toBe('true')
    await toggle.click()
    expect(await field.getAttribute('type')).toBe('password')
    expect(complaints).toEqual([])
    await page.context().close()
  })

  test('puts the dash in a code while it is typed, and lets it be deleted', async () => {
    const [page] = await open({})
    const field = page.getByLabel('Code of a device')
    await field.pressSequentially('bcdfg')
    expect(await field.inputValue()).toBe('BCDF-G')
    await field.press('Backspace')
    await field.press('Backspace')
    expect(await field.inputValue()).toBe('BCDF')
    await page.context().close()
  })

  test('counts down the time to wait, and says when it is over', async () => {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.clock.install({ time: 0 })
    await page.clock.pauseAt(1_000) // or the time of the machine goes on
    await page.goto(served.origin)
    const timer = page.getByRole('timer')
    expect(await timer.innerText()).toBe('2 minutes')
    await page.clock.runFor(10_000)
    expect(await timer.innerText()).toBe('80 seconds')
    await page.clock.runFor(90_000)
    expect(await page.getByText('You can try again now.').isVisible()).toBe(true)
    await context.close()
  })

  test('sends a form once, however often its button is pressed', async () => {
    const [page] = await open({})
    let sent = 0
    await page.route('**/*', (route) => {
      if (route.request().method() === 'POST')
        sent += 1 // and never answer
      else route.continue()
    })
    const button = "document.querySelector('#devices form button')"
    const busy = await page.evaluate(`${button}.click(); ${button}.click(); ${button}.getAttribute('aria-busy')`)
    expect(busy).toBe('true')
    await expect.poll(() => sent).toBe(1)
    await page.context().close()
  })

  test('is not needed: nothing that only it can do is shown without it', async () => {
    const [page] = await open({ javaScriptEnabled: false })
    expect(await page.locator('.reveal').first().isVisible()).toBe(false)
    expect(await page.getByText('Please try again in 2 minutes.').isVisible()).toBe(true)
    await page.context().close()
  })
})
