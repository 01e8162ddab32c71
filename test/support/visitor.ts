import { password } from './postern.ts'

export type Page = { status: number; url: string; headers: Headers; body: string }
export type Fields = Record<string, string | string[]>

/** A person with a browser that keeps cookies and follows redirects within the provider, but runs no scripts. */
export type Visitor = {
  cookies: Map<string, { value: string; path: string }>
  /** Follows redirects until one leads away from the provider, or to a page. */
  get(url: string, headers?: Record<string, string>): Promise<Page>
  post(url: string, fields: Fields, headers?: Record<string, string>): Promise<Page>
  /** Submits the form on `page` whose action ends in `action`, with its hidden fields and these. */
  submit(page: Page, action: string, fields?: Fields): Promise<Page>
  signIn(page: Page, email: string, secret?: string): Promise<Page>
  /** Allows everything that a consent page asks for, or just these scopes. */
  allow(page: Page, scopes?: string[]): Promise<Page>
}

/**
 * Creates a visitor. `fetch` may send the requests to another address than the issuer's; `cookies` can be those of
 * another tab of the same browser.
 */
export function createVisitor(
  issuer: string,
  {
    fetch = globalThis.fetch,
    cookies = new Map(),
  }: { fetch?: typeof globalThis.fetch; cookies?: Visitor['cookies'] } = {},
): Visitor {
  const { origin } = new URL(issuer)

  function remember(response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(/;\s*/)
      const name = pair.slice(0, pair.indexOf('='))
      const value = pair.slice(pair.indexOf('=') + 1)
      const path = attributes.find((part) => /^path=/i.test(part))?.slice(5) ?? '/'
      const isGone = value === '' || attributes.some((part) => /^expires=.*1970/i.test(part))
      const key = `${name} ${path}`
      if (isGone) cookies.delete(key)
      else cookies.set(key, { value, path })
    }
  }

  function cookieHeader(url: URL): string {
    return [...cookies]
      .filter(
        ([, { path }]) => url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`),
      )
      .map(([key, { value }]) => `${key.split(' ')[0]}=${value}`)
      .join('; ')
  }

  async function send(
    method: string,
    address: string,
    body: URLSearchParams | undefined,
    headers: Record<string, string>,
  ): Promise<Page> {
    let url = new URL(address, issuer)
    let request = { method, body }
    for (let hops = 0; hops < 20; hops++) {
      const response = await fetch(url, {
        method: request.method,
        redirect: 'manual',
        headers: { accept: 'text/html', cookie: cookieHeader(url), ...headers },
        ...(request.body && { body: request.body }),
      })
      remember(response)
      const location = response.headers.get('location')
      if (!location)
        return { status: response.status, url: url.href, headers: response.headers, body: await response.text() }
      await response.body?.cancel()
      const next = new URL(location, url)
      if (next.origin !== origin)
        return { status: response.status, url: next.href, headers: response.headers, body: '' }
      url = next
      request = { method: 'GET', body: undefined }
    }
    throw new Error(`too many redirects at ${url}`)
  }

  const visitor: Visitor = {
    cookies,
    get: (url, headers = {}) => send('GET', url, undefined, headers),
    post: (url, fields, headers = {}) =>
      send('POST', url, toForm(fields), { origin, 'sec-fetch-site': 'same-origin', ...headers }),
    submit(page, action, fields = {}) {
      const found = formsOf(page.body).find((form) => new URL(form.action, page.url).pathname.endsWith(action))
      if (!found) throw new Error(`no form to ${action} at ${page.url}:\n${page.body.slice(0, 2_000)}`)
      return visitor.post(new URL(found.action, page.url).href, { ...found.hidden, ...fields })
    },
    signIn: (page, email, secret = password) => visitor.submit(page, '/sign-in', { email, password: secret }),
    allow(page, scopes) {
      const boxes = tickboxes(page.body)
      const required = boxes.filter(({ isDisabled }) => isDisabled).map(({ value }) => value)
      const offered = boxes.filter(({ name }) => name === 'scope').map(({ value }) => value)
      return visitor.submit(page, '/consent', {
        decision: 'allow',
        scope: [...new Set([...required, ...(scopes ?? offered)])],
        claim: boxes.filter(({ name }) => name === 'claim').map(({ value }) => value),
        resource_scope: boxes.filter(({ name }) => name === 'resource_scope').map(({ value }) => value),
      })
    },
  }
  return visitor
}

/** Returns the `Cookie` header with all cookies of a visitor, whatever path they are for. */
export function cookieHeaderOf({ cookies }: Pick<Visitor, 'cookies'>): string {
  return [...cookies].map(([key, { value }]) => `${key.split(' ')[0]}=${value}`).join('; ')
}

function toForm(fields: Fields): URLSearchParams {
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) for (const item of [value].flat()) form.append(name, item)
  return form
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]
  return value
    ?.replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}

/** Returns the forms of a page, with their hidden fields. */
export function formsOf(html: string): { action: string; hidden: Fields }[] {
  const forms = [...html.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/g)].map(([form]) => {
    const hidden: Record<string, string[]> = {}
    for (const [tag] of form.matchAll(/<input\b[^>]*>/g)) {
      const name = attribute(tag, 'name')
      if (name && attribute(tag, 'type') === 'hidden')
        hidden[name] = [...(hidden[name] ?? []), attribute(tag, 'value') ?? '']
    }
    return { action: attribute(form, 'action') ?? '', hidden }
  })
  return forms.filter(({ action }) => action !== '/language')
}

/** Returns the checkboxes of a page. The one thing that a consent page without boxes asks for counts as one. */
export function tickboxes(html: string): { name: string; value: string; isChecked: boolean; isDisabled: boolean }[] {
  const boxes = [...html.matchAll(/<input\b[^>]*type="checkbox"[^>]*>/g)].map(([tag]) => ({
    name: attribute(tag, 'name') ?? '',
    value: attribute(tag, 'value') ?? '',
    isChecked: /\schecked\b/.test(tag),
    isDisabled: /\sdisabled\b/.test(tag),
  }))
  const [only] = formsOf(html).flatMap(({ hidden }) => hidden['scope'] ?? [])
  return boxes.length > 0 || !only ? boxes : [{ name: 'scope', value: only, isChecked: true, isDisabled: false }]
}
