import { performance } from 'node:perf_hooks'

/** The answer to a form and the page that follows, without what differs between any two requests. */
export type Answer = { ms: number; followMs: number; statements: string[]; shown: string }

/** A browser that keeps cookies and follows redirects, and notes what each answer to a form tells. */
export type Asker = {
  get(address: string): Promise<Page>
  /** Sends the form of a page whose action ends in `action`. Only its answer is timed as `ms`. */
  send(page: Page, action: string, fields: Record<string, string>): Promise<Answer & { page: Page }>
}

export type Page = { url: string; body: string }

/**
 * Creates a browser.
 *
 * @param options.about - The address that the answers may differ in.
 * @param options.statements - The statements of requests, which the server adds to.
 */
export function createAsker({
  issuer,
  about,
  statements,
}: {
  issuer: string
  about: string
  statements: string[]
}): Asker {
  const cookies = new Map<string, { path: string; value: string }>()

  async function request(url: URL, body?: URLSearchParams): Promise<{ response: Response; text: string; ms: number }> {
    const cookie = [...cookies]
      .filter(([, { path }]) => path === '/' || url.pathname === path || url.pathname.startsWith(`${path}/`))
      .map(([key, { value }]) => `${key.split(' ')[0]}=${value}`)
      .join('; ')
    const headers = { accept: 'text/html', cookie, ...(body && { origin: issuer, 'sec-fetch-site': 'same-origin' }) }
    const begun = performance.now()
    const response = await fetch(url, { redirect: 'manual', headers, ...(body && { method: 'POST', body }) })
    const text = await response.text()
    const ms = performance.now() - begun
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const name = pair.slice(0, pair.indexOf('='))
      const path = /path=([^;]+)/i.exec(line)?.[1] ?? '/'
      const value = pair.slice(name.length + 1)
      if (value === '') cookies.delete(`${name} ${path}`)
      else cookies.set(`${name} ${path}`, { path, value })
    }
    return { response, text, ms }
  }

  async function follow(
    from: URL,
    response: Response,
    text: string,
  ): Promise<{ url: URL; text: string; shown: string[] }> {
    const shown = [describe(response, text)]
    const location = response.headers.get('location')
    if (!location) return { url: from, text, shown }
    const url = new URL(location, from)
    const next = await request(url)
    const rest = await follow(url, next.response, next.text)
    return { ...rest, shown: [...shown, ...rest.shown] }
  }

  return {
    async get(address) {
      const url = new URL(address, issuer)
      const { response, text } = await request(url)
      const end = await follow(url, response, text)
      return { url: end.url.href, body: end.text }
    },

    async send(page, action, fields) {
      const form = [...page.body.matchAll(/<form\b[^>]*action="([^"]*)"[^>]*>[\s\S]*?<\/form>/g)].find(([, at = '']) =>
        new URL(at, page.url).pathname.endsWith(action),
      )
      const button = new RegExp(`formaction="([^"]*${action})"`).exec(page.body)?.[1]
      const [csrf, uid] = ['csrf', 'uid'].map(
        (name) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page.body)?.[1],
      )
      const target = form?.[1] ?? button
      if (target === undefined) throw new Error(`There is no form to ${action} at ${page.url}.`)
      const url = new URL(target, page.url)
      statements.splice(0)
      const { response, text, ms } = await request(
        url,
        new URLSearchParams({ ...(csrf && { csrf }), ...(uid && { uid }), ...fields }),
      )
      const seen = statements.splice(0)
      const begun = performance.now()
      const end = await follow(url, response, text)
      const followMs = performance.now() - begun
      const shown = end.shown.join('\n').replaceAll(about, 'ADDRESS')
      return { ms, followMs, statements: seen, shown, page: { url: end.url.href, body: end.text } }
    },
  }
}

const always = /^(date|etag|x-request-id|content-security-policy)$/ // new in each answer, whatever it says

/** Returns everything that an answer tells, without the identifiers and tokens of the one who asks. */
function describe(response: Response, text: string): string {
  const headers = [...response.headers]
    .filter(([name]) => !always.test(name))
    .map(
      ([name, value]) =>
        `${name}: ${name === 'set-cookie' ? value.replace(/^((?:__\w+-)?postern_browser)[^=]+/, '$1').replace(/^([^=]+)=[^;]{9,}/, '$1=…') : value}`,
    )
  return [response.status, ...headers, text]
    .join('\n')
    .replace(/(name="(?:csrf|uid)" value=)"[^"]*"/g, '$1"…"')
    .replace(/\/interaction\/[\w-]+/g, '/interaction/UID')
    .replace(/nonce-[\w+/=-]+|[\d-]{10}T[\d:.]+Z|expires=[^;]+/g, '…')
}
