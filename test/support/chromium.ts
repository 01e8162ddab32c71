import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { chromiumPath } from './chromium-path.ts'

/** A Chromium that talks to nobody but the pages it is sent to, with more arguments if it takes any. */
export function launchChromium(...args: string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox', // it only ever opens pages of these tests, and containers often have no sandbox to give
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
 * Notes everything a browser complains about: violations of the content security policy, and errors in its
 * console. The answer of a server with a status of 400 or more is not among it.
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

/** Answers for an origin that does not exist: the app a person returns to. */
export async function pretendOrigin(context: BrowserContext, origin: string): Promise<void> {
  await context.route(`${origin}/**`, (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>App</title><h1>Back in the app</h1>' }),
  )
}

/** The names and values in the query of the page's address. */
export function queryOf(page: Page): Record<string, string> {
  return Object.fromEntries(new URL(page.url()).searchParams)
}
