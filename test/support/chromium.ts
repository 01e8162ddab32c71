import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { chromiumPath } from './chromium-path.ts'

/** Launches a Chromium that contacts nothing but the pages it is sent to, with optional further arguments. */
export function launchChromium(...args: string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox', // it opens only pages of these tests, and containers often have no sandbox
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  })
}

/**
 * Records every complaint of a browser: violations of the content security policy, and errors in its console. An answer
 * with a status of 400 or more is not a complaint.
 */
export async function watchForComplaints(context: BrowserContext): Promise<string[]> {
  const complaints: string[] = []
  await context.addInitScript(`
    document.addEventListener('securitypolicyviolation', (event) =>
      console.error('violated ' + event.violatedDirective + ': ' + event.blockedURI))
  `)
  context.on('console', (message) => {
    if (message.type() !== 'error' && !/content.security.policy/i.test(message.text())) return
    if (!message.text().startsWith('Failed to load resource')) complaints.push(message.text())
  })
  context.on('weberror', (error) => complaints.push(error.error().message))
  return complaints
}

/** Answers requests for an origin that does not exist: that of the app a person returns to. */
export async function pretendOrigin(context: BrowserContext, origin: string): Promise<void> {
  await context.route(`${origin}/**`, (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>App</title><h1>Back in the app</h1>' }),
  )
}

/** Returns the names and values in the query of the page's address. */
export function queryOf(page: Page): Record<string, string> {
  return Object.fromEntries(new URL(page.url()).searchParams)
}
