import { createVisitor, type Fields, type Page, type Visitor } from '../support/visitor.ts'

/** The browser of a person, which goes back and forth between the provider and an app. */
export type Browser = {
  cookies: Visitor['cookies']
  get(url: string): Promise<Page>
  post(url: string, fields: Fields, headers?: Record<string, string>): Promise<Page>
  submit(page: Page, action: string, fields?: Fields): Promise<Page>
  /** Signs in and consents until the browser is back at the app. Without `consent` it allows everything requested. */
  signIn(page: Page, email: string, answer?: { password?: string; consent?: Fields }): Promise<Page>
}

/** Creates a browser whose cookies both share: browsers do not keep the ports of one host apart. */
export function createBrowser(issuer: string, baseUrl: string): Browser {
  const cookies: Visitor['cookies'] = new Map()
  const visitors = [issuer, baseUrl].map((origin) => ({ origin, visitor: createVisitor(origin, { cookies }) }))

  function at(url: string): Visitor {
    const found = visitors.find(({ origin }) => origin === new URL(url).origin)
    if (!found) throw new Error(`the browser was sent to ${url}`)
    return found.visitor
  }

  async function follow(going: Promise<Page>): Promise<Page> {
    let page = await going
    for (let hops = 0; page.status >= 300 && page.status < 400; hops++) {
      if (hops === 10) throw new Error(`too many redirects at ${page.url}`)
      page = await at(page.url).get(page.url)
    }
    return page
  }

  const browser: Browser = {
    cookies,
    get: (url) => follow(at(url).get(url)),
    post: (url, fields, headers) => follow(at(url).post(url, fields, headers)),
    submit: (page, action, fields) => follow(at(page.url).submit(page, action, fields)),
    async signIn(page, email, { password, consent } = {}) {
      let current = page
      for (let step = 0; step < 4 && new URL(current.url).pathname.startsWith('/interaction/'); step++) {
        const visitor = at(current.url)
        current = await follow(
          current.body.includes('name="password"')
            ? visitor.signIn(current, email, password)
            : consent
              ? visitor.submit(current, '/consent', { decision: 'allow', ...consent })
              : visitor.allow(current),
        )
      }
      return current
    },
  }
  return browser
}
