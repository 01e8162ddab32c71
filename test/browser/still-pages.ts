import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { assets } from '../../src/views/assets.ts'

/** Opens a page that shows any number of pages that were rendered without a server. */
export async function openStillPages(
  context: BrowserContext,
): Promise<{ page: Page; show(html: string): Promise<void> }> {
  const blank = '<!doctype html><html lang="en"><title>Pages</title><body>'
  let first = blank
  await context.route('**/*', (route) => {
    const { pathname } = new URL(route.request().url())
    if (pathname === '/') return route.fulfill({ contentType: 'text/html', body: first })
    const path = join(assets, basename(pathname))
    return route.fulfill(pathname.endsWith('.css') && existsSync(path) ? { path } : { status: 404 })
  })
  const page = await context.newPage()
  return {
    page,
    async show(html) {
      if (first === blank) {
        first = html
        await page.goto('http://pages.test/')
        return
      }
      // All pages share their style sheets, so these stay: loading each page would take many times as long.
      await page.evaluate(`(() => {
        const { title, body, documentElement } = new DOMParser().parseFromString(${JSON.stringify(html)}, 'text/html')
        document.title = title
        document.documentElement.lang = documentElement.lang
        document.documentElement.dir = documentElement.dir
        document.body = body
      })()`)
    },
  }
}
