import * as oidc from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClientMetadata } from '../../src/stores/clients/clients.ts'
import { integrityOf, scripts } from '../../src/views/assets.ts'
import { withoutOwnScripts } from '../support/page-examples.ts'
import { password, startPostern, type TestPostern } from '../support/postern.ts'
import { beginLogin, discover, login } from '../support/relying-party.ts'
import { createVisitor, formsOf, type Page } from '../support/visitor.ts'

let postern: TestPostern
let client: ClientMetadata
let config: oidc.Configuration

const email = 'ada@example.com'

beforeAll(async () => {
  postern = await startPostern()
  await postern.createAccount(email)
  client = await postern.createClient({ client_name: 'Notes' })
  config = await discover(postern, client)
})
afterAll(() => postern?.stop())

const directives = (policy: string) =>
  Object.fromEntries(policy.split(';').map((part) => [part.trim().split(' ')[0], part.trim().split(' ').slice(1)]))

/** `referrer` is what other sites learn of the address: `strict-origin` where an answer is posted to an app. */
function expectSafe({ headers }: { headers: Headers }, referrer = 'same-origin'): void {
  const policy = directives(String(headers.get('content-security-policy')))
  expect(policy['default-src']).toEqual(["'none'"])
  expect(policy['frame-ancestors']).toEqual(["'none'"])
  expect(policy['base-uri']).toEqual(["'none'"])
  expect(JSON.stringify(policy)).not.toMatch(/unsafe|\*|data:|https?:/)
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('x-frame-options')).toBe('DENY')
  expect(headers.get('referrer-policy')).toBe(referrer)
  expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
  expect(headers.get('x-powered-by')).toBeNull()
  expect(headers.get('server')).toBeNull()
}

describe('every page', () => {
  const pages: Record<string, () => Promise<Page>> = {
    home: () => createVisitor(postern.issuer).get(postern.issuer),
    'sign-in': async () => (await beginLogin(config, { issuer: postern.issuer })).page,
    'sign-in after an error': async () => {
      const { page, visitor } = await beginLogin(config, { issuer: postern.issuer })
      return visitor.signIn(page, email, 'wrong')
    },
    consent: async () => {
      const { page, visitor } = await beginLogin(config, { issuer: postern.issuer, prompt: 'consent' })
      return visitor.signIn(page, email)
    },
    'expired interaction': () => createVisitor(postern.issuer).get(`${postern.issuer}/interaction/gone`),
    'expired resumption': () => createVisitor(postern.issuer).get(`${postern.issuer}/oauth/authorize/gone`),
    'not found': () => createVisitor(postern.issuer).get(`${postern.issuer}/nowhere`),
    'protocol error': () => createVisitor(postern.issuer).get(`${postern.issuer}/oauth/authorize?client_id=nobody`),
    device: () => createVisitor(postern.issuer).get(`${postern.issuer}/device`),
    'sign-out': async () => {
      const { visitor } = await login(postern, client, { email })
      return visitor.get(`${postern.issuer}/oauth/logout`)
    },
    'signed out': () => createVisitor(postern.issuer).get(`${postern.issuer}/oauth/logout/success`),
  }

  test.each(Object.keys(pages))(
    'has the security headers, is not cached, and contains no style and no script but that of the file: %s',
    async (name) => {
      const page = await (pages[name] as () => Promise<Page>)()
      expectSafe(page)
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
      expect(page.body).toContain('<h1')
      expect(withoutOwnScripts(page.body)).not.toMatch(/<script|<style|\sstyle="|\son[a-z]+="/)
      expect(directives(String(page.headers.get('content-security-policy')))['script-src']).toEqual([
        "'report-sample'",
        ...scripts.map((name) => `'${integrityOf(name)}'`),
      ])
      expect(page.headers.get('cache-control')).toBe('no-store, no-transform')
    },
  )

  test('allows exactly its own script, by hash, if it posts by itself', async () => {
    const { visitor } = await login(postern, client, { email })
    const { page: bounce } = await beginLogin(config, {
      issuer: postern.issuer,
      visitor,
      response_mode: 'form_post',
    })
    expectSafe(bounce, 'strict-origin')
    const allowed = directives(String(bounce.headers.get('content-security-policy')))['script-src']
    expect(allowed).toEqual([
      "'report-sample'",
      ...scripts.map((name) => `'${integrityOf(name)}'`),
      expect.stringMatching(/^'sha256-[\w+/]{43}='$/),
    ])
    expect(bounce.body).toContain(
      '<button class="button primary" type="submit"><span class="label">Continue</span></button>',
    )
  })

  test('shares its security headers with all other answers', async () => {
    for (const path of [
      '/.well-known/openid-configuration',
      '/oauth/jwks',
      '/health/live',
      '/assets/postern.css',
      '/assets/postern.js',
    ]) {
      expectSafe(await fetch(`${postern.issuer}${path}`))
    }
    expectSafe(await fetch(`${postern.issuer}/oauth/token`, { method: 'POST' }))
  })

  test('requires https from then on if it was served over https (RFC 6797)', async () => {
    expect((await fetch(postern.issuer)).headers.get('strict-transport-security')).toBeNull()
    const secure = await startPostern({ ISSUER: 'https://id.example', TRUSTED_PROXIES: '127.0.0.1' })
    try {
      // A proxy that terminates TLS sends this.
      const response = await fetch(`http://127.0.0.1:${secure.config.PORT}/device`, {
        headers: { 'x-forwarded-host': 'id.example', 'x-forwarded-proto': 'https', accept: 'text/html' },
      })
      expect(response.status).toBe(200)
      expect(response.headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/)
      const cookies = response.headers.getSetCookie()
      expect(cookies.length).toBeGreaterThan(0)
      for (const cookie of cookies) expect(cookie).toMatch(/^__Host-.*path=\/; .*samesite=lax; secure; httponly/i)
    } finally {
      await secure.stop()
    }
  })

  test('sets cookies that no script and no other site can use', async () => {
    const response = await fetch(
      oidc.buildAuthorizationUrl(config, {
        redirect_uri: 'https://rp.example/cb',
        scope: 'openid',
        code_challenge: await oidc.calculatePKCECodeChallenge('x'.repeat(43)),
        code_challenge_method: 'S256',
      }),
      { redirect: 'manual' },
    )
    const cookies = response.headers.getSetCookie()
    expect(cookies.map((cookie) => cookie.split('=')[0]).sort()).toEqual([
      expect.stringMatching(/^postern_browser_[\w-]{8}$/),
      'postern_interaction',
      'postern_interaction.sig',
      'postern_resume',
      'postern_resume.sig',
    ])
    for (const cookie of cookies)
      expect(cookie).toMatch(/path=\/((interaction|oauth\/authorize)\/[^;]+)?; .*samesite=lax; httponly/i)
  })
})

describe('an error', () => {
  test('is a page for a browser and JSON for everything else', async () => {
    const asked = (accept: string, path = '/nowhere') => fetch(`${postern.issuer}${path}`, { headers: { accept } })
    const page = await asked('text/html,application/xhtml+xml,*/*;q=0.8')
    expect(page.status).toBe(404)
    expect(await page.text()).toContain('There is nothing here')
    for (const accept of ['application/json', '*/*']) {
      const json = await asked(accept)
      expect(json.status).toBe(404)
      expect(await json.json()).toEqual({ error: 'invalid_request' })
    }
  })

  test('gives a reference that is in the log, and no details, if it is of the server', async () => {
    const { page, visitor } = await beginLogin(config, { issuer: postern.issuer })
    await postern.database.query('alter table throttles rename to gone')
    postern.logged.length = 0
    try {
      const answer = await visitor.signIn(page, email)
      expect(answer.status).toBe(500)
      expect(answer.body).toContain('Something went wrong')
      expect(answer.body).not.toMatch(/throttles|relation|postgres|select|\.ts/)
      const reference = String(answer.headers.get('x-request-id'))
      expect(answer.body).toContain(reference)
      const entry = postern.logged
        .map((line) => JSON.parse(line))
        .find(({ requestId, err }) => requestId === reference && err)
      expect(entry).toMatchObject({ msg: 'request failed', err: { code: '42P01' } })
      const [form] = formsOf(page.body)
      const fields = { ...form?.hidden, email, password }
      const json = await visitor.post(new URL(String(form?.action), page.url).href, fields, {
        accept: 'application/json',
      })
      expect(json.status).toBe(500)
      expect(JSON.parse(json.body)).toEqual({ error: 'server_error' })
    } finally {
      await postern.database.query('alter table gone rename to throttles')
    }
    expect((await visitor.signIn(page, email)).status).toBeLessThan(400)
  })

  test('gives a reference that is in the log if it is of the engine', async () => {
    await postern.database.query('alter table sessions rename to gone')
    postern.logged.length = 0
    try {
      const visitor = createVisitor(postern.issuer)
      visitor.cookies.set('postern_session /', { value: 'x', path: '/' })
      const { visitor: known } = { visitor }
      const answer = await known.get(`${postern.issuer}/device`)
      expect(answer.status).toBe(500)
      const reference = String(answer.headers.get('x-request-id'))
      expect(answer.body).toContain(reference)
      expect(postern.logged.join('')).toContain(reference)
    } finally {
      await postern.database.query('alter table gone rename to sessions')
    }
  })

  test('shows values of an unknown app only as text', async () => {
    const hostile = '<img src=x onerror=alert(1)>'
    const query = new URLSearchParams({
      client_id: hostile,
      redirect_uri: `javascript:alert('${hostile}')`,
      state: hostile,
    })
    const page = await createVisitor(postern.issuer).get(`${postern.issuer}/oauth/authorize?${query}`)
    expect(page.status).toBe(400)
    expect(page.body).not.toMatch(/<img|javascript:/)
  })

  test('shows values of a known app only as text, and no value breaks a header', async () => {
    const hostile = `"'><img src=x onerror=alert(1)>\r\nset-cookie: planted=1`
    const names = ['login_hint', 'state', 'nonce', 'scope', 'ui_locales', 'response_mode', 'response_type', 'prompt']
    for (const name of [...names, 'display', 'acr_values', 'redirect_uri', 'resource', 'claims', 'max_age']) {
      const { page, visitor } = await beginLogin(config, { issuer: postern.issuer, prompt: 'login', [name]: hostile })
      const isAsked = page.body.includes('name="password"')
      const { body } = isAsked ? await visitor.signIn(page, email, 'wrong') : page
      expect([name, (page.body + body).includes('<img')]).toEqual([name, false])
      expect([name, [...visitor.cookies.keys()].join().includes('planted')]).toEqual([name, false])
    }
  })

  test('shows a device code from a link only as text', async () => {
    const hostile = encodeURIComponent(`"'><img src=x onerror=alert(1)>`)
    const visitor = createVisitor(postern.issuer)
    const page = await visitor.get(`${postern.issuer}/device?user_code=${hostile}`)
    expect(page.body).not.toContain('<img')
    expect((await visitor.submit(page, '/device')).body).not.toContain('<img')
  })

  test.each([
    'client_id',
    'nonce',
    'state',
    'scope',
    'redirect_uri',
    'login_hint',
    'claims',
    'resource',
    'id_token_hint',
    'request_uri',
  ])('is never one of the server for a null character in %s', async (name) => {
    const { page, visitor } = await beginLogin(config, { issuer: postern.issuer, [name]: 'a\u0000b' })
    expect(page.status).toBeLessThan(500)
    if (!page.body.includes('name="password"')) return
    const next = await visitor.signIn(page, email)
    expect(next.status).toBeLessThan(500)
    if (next.url.includes('/interaction/')) expect((await visitor.allow(next)).status).toBeLessThan(500)
  })
})

describe('the log', () => {
  test('has a line for each request, and no secret from it', async () => {
    postern.logged.length = 0
    const secrets: string[] = [password, String(client['client_secret'])]
    const { page, visitor } = await beginLogin(config, {
      issuer: postern.issuer,
      prompt: 'consent',
      scope: 'openid offline_access',
    })
    secrets.push(String(page.url.split('/').at(-1)))
    await visitor.signIn(page, email, 'a wrong password of mine')
    secrets.push('a wrong password of mine')
    const consentPage = await visitor.signIn(page, email)
    secrets.push(String(consentPage.url.split('/').at(-1)))
    for (const { value } of visitor.cookies.values()) secrets.push(value)
    const back = await visitor.allow(consentPage)
    secrets.push(String(new URL(back.url).searchParams.get('code')))
    const { config: configured, tokens } = await login(postern, client, {
      email,
      visitor,
      scope: 'openid offline_access',
    })
    const refreshed = await oidc.refreshTokenGrant(configured, String(tokens.refresh_token))
    for (const value of [tokens, refreshed])
      secrets.push(value.access_token, String(value.refresh_token), String(value.id_token))
    await oidc.tokenIntrospection(configured, tokens.access_token)
    await oidc.refreshTokenGrant(configured, 'not-a-token').catch(() => {})
    const device = await oidc.initiateDeviceAuthorization(configured, {}).catch(() => undefined)
    if (device) secrets.push(device.device_code, device.user_code)
    await visitor.get(`${postern.issuer}/device?user_code=BCDF-GHJK`)
    await visitor.get(`${postern.issuer}/oauth/logout?id_token_hint=${tokens.id_token}`)
    for (const { value } of visitor.cookies.values()) secrets.push(value)

    const logged = postern.logged.join('')
    for (const secret of new Set([...secrets, 'BCDF-GHJK', email])) {
      expect(secret.length).toBeGreaterThan(5)
      expect(logged.includes(secret), `the log has ${secret}`).toBe(false)
    }
    const requests = postern.logged.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request')
    expect(requests.length).toBeGreaterThan(10)
    for (const entry of requests) {
      expect(entry).toMatchObject({
        requestId: expect.stringMatching(/^[\w-]{16}$/),
        method: expect.any(String),
        path: expect.stringMatching(/^\/[\w/:.-]*$/),
        status: expect.any(Number),
        durationMs: expect.any(Number),
      })
    }
    expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(requests.length)
    expect(requests.map(({ path }) => path)).toContain('/interaction/:id/sign-in')
  })
})
